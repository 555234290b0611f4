"""``TaskList``: the tasks of a namespace, with their logs and buttons to attach, cancel and delete."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from html import escape
from typing import Any

import ipywidgets as w
from podtask import Task
from podtask.api.attach import attach, find_handle
from podtask.api.resolve import merge_options
from podtask.errors import InputError
from podtask.formatting import safe_html
from podtask.manage import own_maps
from podtask.manage.operations import MAX_TAIL_LINES, delete_task_pods, read_log_tail
from podtask.manage.task_list import MapRow, TaskRow, list_tasks
from podtask.manage.task_list import TaskList as ListedTasks

from .background import run_in_background
from .cluster_tasks import container_names, is_worker, row_cells, shown_rows
from .header import message_box, show_message
from .page import styled
from .page_clock import PageClock
from .root import root_box
from .static_view import StaticView

REFRESH_SECONDS = 3.0  # reloads the list while a page shows it and one of its tasks is running
MAX_LOG_BYTES = 64 << 10  # of the output of a task that was attached to
HEADINGS = ("Task", "State", "Age", "Pod", "Last line", "")


class TaskList:
    """List of tasks, including those of other kernels. Make it the last expression of a cell to show it.

    Args:
        namespace: Namespace of the tasks; by default the one of the kubeconfig context.
        context: Context of the kubeconfig; by default the current one.

    Raises:
        InputError: Cells run on this machine, so there are no tasks to list; or a setting is wrong.

    Attributes:
        attached: Handles of the tasks that were attached to, by name.
        widget: The list, to be placed into other widgets.
    """

    def __init__(self, namespace: str | None = None, context: str | None = None) -> None:
        self._location: dict[str, Any] = {"namespace": namespace, "context": context}
        self._options = merge_options({key: value for key, value in self._location.items() if value})
        if self._options.local:
            raise InputError(
                "Cells run on this machine, so there is no list of tasks.",
                "Pass a context, or unset PODTASK_BACKEND=local.",
            )
        self.attached: dict[str, Task] = {}
        self._tasks: ListedTasks | None = None
        self._rows_by_key: dict[str, TaskRow | MapRow] = {}  # those that are shown, in order
        self._cells_by_key: dict[str, list[Any]] = {}
        self._unfolded: set[str] = set()  # keys of the maps whose workers are shown
        self._selected: TaskRow | None = None  # the task whose logs are shown
        self._static_view = StaticView(self._mimebundle)
        self._request: Future[ListedTasks] | None = None  # the newest one
        self._request_number = 0  # number of the newest request; answers to older ones are ignored
        self._key_to_delete = ""  # key of the row that a second click on its button deletes
        self._title = styled(w.HTML("Tasks"), "pt-count")
        refresh = self._button("Refresh", self.refresh)
        self._clock = PageClock(REFRESH_SECONDS, self._refresh_unless_reading)
        self._message = message_box()
        self._rows = styled(w.VBox([]), "pt-tasks")
        self._log_tabs = styled(w.Tab([]), "pt-logs", "pt-hidden")
        self._log_tabs.observe(lambda _: self._read_log(), "selected_index")
        head = styled(w.Box([self._title, refresh, self._clock.widget]), "pt-head")
        self.widget = root_box(
            [
                styled(w.VBox([head, self._message]), "pt-heading"),
                self._rows,
                self._log_tabs,
            ],
            "form.css",
            "tasks.css",
            rules=self._static_view.style,
        )
        self.refresh()

    def refresh(self) -> None:
        """Reload the list, and the log that is shown."""
        self._read_tasks()
        self._read_log()

    def _ipython_display_(self) -> None:
        """Display the list, and its HTML for front ends that do not run widgets."""
        self._static_view.display_with(self.widget)

    def _mimebundle(self) -> dict[str, str]:
        if self._tasks is None:
            return {"text/plain": "Tasks", "text/html": "Tasks"}
        return {"text/plain": repr(self._tasks), "text/html": self._tasks._repr_html_()}

    # -- list -----------------------------------------------------------------------------------

    def _refresh_unless_reading(self) -> None:
        if self._request is None or self._request.done():
            self.refresh()

    def _read_tasks(self) -> None:
        self._request_number += 1
        number = self._request_number

        def show_if_newest(tasks: ListedTasks) -> None:
            if number == self._request_number and self.widget.comm is not None:
                self._show_tasks(tasks)

        self._request = run_in_background(list_tasks(self._options), show_if_newest, self._show_error)

    def _show_tasks(self, tasks: ListedTasks) -> None:
        before = [(key, row.has_cell_ended) for key, row in self._rows_by_key.items()]
        self._tasks = tasks
        self._static_view.update()
        self._rows_by_key = {row.key: row for row in shown_rows(tasks, self._unfolded)}
        if before != [(key, row.has_cell_ended) for key, row in self._rows_by_key.items()]:
            self._build_rows()
        else:  # update the cells in place, so that the focus does not move
            for key, row in self._rows_by_key.items():
                for cell, text in zip(self._cells_by_key[key], row_cells(row), strict=True):
                    cell.value = _cell_html(text)
        count = len(tasks.entries)
        text = f"{count} task{'s' * (count != 1)}" if count else "No tasks"
        self._title.value = f'<div role="status">{text}</div>'
        self._clock.set_running(any(not row.pod.is_finished for row in tasks))

    def _build_rows(self) -> None:
        headings = styled(w.Box([w.HTML(escape(each)) for each in HEADINGS]), "pt-task", "pt-heads")
        rows = [self._build_row(row) for row in self._rows_by_key.values()]
        self._rows.children = [headings, *rows] if rows else []

    def _build_row(self, row: TaskRow | MapRow) -> Any:
        key, delete = row.key, "Delete" if row.has_cell_ended else "Cancel"

        def with_current_row(action: Callable[[Any], None]) -> Callable[[], None]:
            return lambda: action(self._rows_by_key[key])

        actions: list[tuple[str, Callable[[Any], None]]]
        if isinstance(row, MapRow):
            actions = [("Fold" if key in self._unfolded else "Workers", self._fold), (delete, self._delete)]
        elif is_worker(row):
            actions = [("Logs", self._show_logs)]
        else:
            actions = [("Logs", self._show_logs), ("Attach", self._attach), (delete, self._delete)]
        about = row.key if is_worker(row) else row.alias
        buttons = [self._button(label, with_current_row(action), about) for label, action in actions]
        cells = self._cells_by_key[key] = [w.HTML(_cell_html(text)) for text in row_cells(row)]
        box = w.Box([*cells, styled(w.Box(buttons), "pt-acts")])
        return styled(box, "pt-task", *(["pt-worker"] if is_worker(row) else []))

    def _fold(self, row: MapRow) -> None:
        """Show or hide the workers of a map; the focus stays on the button."""
        self._unfolded ^= {row.key}
        if self._tasks is not None:
            self._show_tasks(self._tasks)
        place = 1 + list(self._rows_by_key).index(row.key)
        self._rows.children[place].children[-1].children[0].focus()

    def _button(self, label: str, on_click: Callable[[], None], task_name: str = "") -> Any:
        button = styled(w.Button(description=label, tooltip=f"{label} {task_name}".strip()), "pt-do")
        button.on_click(lambda _: on_click())
        return button

    def _show_message(self, text: str, is_error: bool = False) -> None:
        show_message(self._message, text, is_error)

    def _show_error(self, text: str) -> None:
        self._show_message(text, is_error=True)

    # -- one task -------------------------------------------------------------------------------

    def _show_logs(self, row: TaskRow) -> None:
        names = container_names(row)
        self._selected = None  # while the tabs change, no log is read
        self._log_tabs.children = [styled(w.HTML(), "pt-log") for _ in names]
        self._log_tabs.titles = names
        self._log_tabs.selected_index = 0
        self._log_tabs.remove_class("pt-hidden")
        self._selected = row
        self._read_log()

    def _read_log(self) -> None:
        """Read the log of the selected tab."""
        row, index = self._selected, self._log_tabs.selected_index
        if row is None or index is None:
            return
        box, container = self._log_tabs.children[index], self._log_tabs.titles[index]

        def show_log(text: str) -> None:
            body = safe_html(text) or "<i>no output yet</i>"
            label = safe_html(f"Log of {row.pod.alias}, container {container}")
            box.value = f'<pre class="pt-pre" tabindex="0" role="region" aria-label="{label}">{body}</pre>'

        task = self.attached.get(row.pod.alias)
        if task is not None and task.name == row.pod.name and container == row.pod.primary:
            show_log(_last_lines(task))  # its output comes by its own connection
            return
        run_in_background(read_log_tail(row.pod.name, container, self._options), show_log, show_log)

    def _attach(self, row: TaskRow) -> None:
        name = row.pod.alias
        try:
            task = find_handle(row.pod.name) or attach(row.pod.name, **self._location)
        except InputError as error:
            self._show_error(str(error))
            return
        self.attached[name] = task
        self._show_message(
            f"Attached to {name}. Its output is below. Get its result with .attached[{name!r}].result()."
        )
        self._show_logs(row)
        task.add_done_callback(lambda task: self._task_ended(name, task))

    def _task_ended(self, name: str, task: Task) -> None:
        self._show_message(f"{name} has ended: {task.status}.", is_error=task.status != "ok")
        self.refresh()

    def _delete(self, row: TaskRow | MapRow) -> None:
        name, key = row.alias, row.key
        is_unfetched = isinstance(row, TaskRow) and row.is_result_unfetched
        if self._key_to_delete != key and (is_unfetched or not row.has_cell_ended):
            self._key_to_delete = key
            noun = "pods" if isinstance(row, MapRow) else "pod"
            question = f"{name} has not ended. Click Cancel again to end it and to delete its {noun}."
            if is_unfetched:
                question = (
                    f"The result of {name} has not been fetched. Click Delete again to discard it, "
                    "or Attach to fetch it."
                )
            self._show_message(question, is_error=True)
            return
        self._key_to_delete = ""

        def show_deleted(_: object) -> None:
            self._show_message(f"{name} was {'deleted' if row.has_cell_ended else 'cancelled'}.")
            self.refresh()

        own_map = own_maps.find(row.name) if isinstance(row, MapRow) else None
        task = find_handle(key)
        if own_map is not None:
            own_map.cancel_nowait()  # its dispatcher would replace pods that are deleted
            show_deleted(None)
        elif task is not None and not task.done() and task.is_own:
            task.add_done_callback(show_deleted)
            task.cancel_nowait()  # so that the cell that submitted it shows the cancellation
        else:
            pods = [each.pod for each in row.workers] if isinstance(row, MapRow) else [row.pod]
            run_in_background(delete_task_pods(pods, self._options), show_deleted, self._show_error)


def _last_lines(task: Task) -> str:
    """Return the last lines of a task's output, as many as of the log of a container."""
    text = task.update_log.output(MAX_LOG_BYTES).decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-MAX_TAIL_LINES:])


def _cell_html(text: str) -> str:
    shown = safe_html(text)
    return f'<span class="pt-cell" title="{shown}">{shown}</span>'
