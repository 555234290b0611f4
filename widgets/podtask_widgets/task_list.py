"""``TaskList``: the tasks of a namespace, each with its logs and what can be done with it."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w
from podtask import Task
from podtask.api.attach import attach, find_detached_task
from podtask.api.resolve import merge_options
from podtask.errors import InputError
from podtask.manage.operations import delete_task_pod, read_log_tail
from podtask.manage.task_list import TaskList as ListedTasks
from podtask.manage.task_list import TaskRow, roster

from .cluster_tasks import container_names, run_in_background, run_later
from .page import styled
from .static_view import StaticView

STYLE = "".join(
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("form.css", "tasks.css")
)
AGAIN = 3.0  # seconds until a list is asked for again, while a task of it goes on
HEADS = ("Task", "State", "Age", "Pod", "Last line", "")


class TaskList:
    """The tasks there are, also those of other kernels. Show it as a cell's last expression.

    Args:
        namespace: of the tasks; the context's without.
        context: of the kubeconfig; the current one without.

    Raises:
        InputError: cells run on this machine: there is no list; or a setting is wrong.

    Attributes:
        attached: handles of those that were attached to, by name.
        widget: the list, to be put into other widgets.
    """

    def __init__(self, namespace: str | None = None, context: str | None = None) -> None:
        self._where = {"namespace": namespace, "context": context}
        self._options = merge_options({key: value for key, value in self._where.items() if value})
        if self._options.local:
            raise InputError(
                "Cells run on this machine (local): there is no list of tasks.",
                "Give a context, or end PODTASK_BACKEND=local.",
            )
        self.attached: dict[str, Task] = {}
        self._roster: ListedTasks | None = None
        self._known: dict[str, TaskRow] = {}  # by the pod
        self._texts: dict[str, list[Any]] = {}  # of a row, by the pod
        self._chosen: TaskRow | None = None
        self._kept = StaticView(self._bundle)
        self._asked = 0  # lists asked for: an older answer is not shown
        self._sure = ""  # the pod whose result a second click deletes
        self._title = styled(w.HTML("Tasks"), "pt-count")
        refresh = self._button("Refresh", "pt-do", self.refresh)
        self._said = styled(w.HTML(), "pt-said", "pt-hidden")
        self._rows = styled(w.VBox([]), "pt-tasks")
        self._tabs = styled(w.Tab([]), "pt-logs", "pt-hidden")
        self._tabs.observe(lambda _: self._read(), "selected_index")
        self.widget = styled(
            w.VBox(
                [
                    styled(w.HTML(f"<style>{STYLE}{self._kept.style}</style>"), "pt-hidden"),
                    styled(
                        w.VBox([styled(w.Box([self._title, refresh]), "pt-head"), self._said]), "pt-heading"
                    ),
                    self._rows,
                    self._tabs,
                ]
            ),
            "pt",
        )
        self.refresh()

    def refresh(self) -> None:
        """Asks for the list anew, and for the log that is shown."""
        self._ask(0.0)
        self._read()

    def _ask(self, pause: float) -> None:
        self._asked += 1
        number = self._asked

        def show(found: ListedTasks) -> None:
            if number == self._asked and self.widget.comm is not None:
                self._show(found)

        run_in_background(run_later(pause, roster(self._options)), show, self._wrong)

    def _ipython_display_(self) -> None:
        """Shows the list; a file without a kernel shows what was there."""
        self._kept.show(self.widget)

    def _bundle(self) -> dict[str, str]:
        found = self._roster
        if found is None:
            return {"text/plain": "Tasks", "text/html": "Tasks"}
        return {"text/plain": repr(found), "text/html": found._repr_html_()}

    # -- the list -------------------------------------------------------------------------------

    def _show(self, found: ListedTasks) -> None:
        before = [(each.found.name, each.over) for each in self._known.values()]
        self._roster = found
        self._kept.renew()
        self._known = {row.found.name: row for row in found}
        if before != [(row.found.name, row.over) for row in found]:
            self._build(found)
        else:  # in place: the cursor stays where it is
            for row in found:
                for text, cell in zip(self._texts[row.found.name], row.cells, strict=True):
                    text.value = _cell(cell)
        if any(not row.found.is_finished for row in found):
            self._ask(AGAIN)

    def _build(self, found: ListedTasks) -> None:
        count = f"{len(found)} task{'s' * (len(found) != 1)}" if len(found) else "No tasks"
        heads = styled(w.Box([w.HTML(escape(each)) for each in HEADS]), "pt-task", "pt-heads")
        self._rows.children = [heads, *map(self._row, found)] if len(found) else []
        self._title.value = f'<div role="status">{count}</div>'

    def _row(self, row: TaskRow) -> Any:
        name, pod = row.found.alias, row.found.name
        end = "Delete" if row.over else "Cancel"
        buttons = [
            self._button("Logs", "pt-do", lambda: self._choose(self._known[pod]), name),
            self._button("Attach", "pt-do", lambda: self._attach(self._known[pod]), name),
            self._button(end, "pt-do", lambda: self._end(self._known[pod]), name),
        ]
        texts = self._texts[pod] = [w.HTML(_cell(each)) for each in row.cells]
        return styled(w.Box([*texts, styled(w.Box(buttons), "pt-acts")]), "pt-task")

    def _button(self, words: str, kind: str, click: Any, name: str = "") -> Any:
        made = styled(w.Button(description=words, tooltip=f"{words} {name}".strip()), kind)
        made.on_click(lambda _: click())
        return made

    def _say(self, text: str, good: bool = True) -> None:
        (self._said.remove_class if text else self._said.add_class)("pt-hidden")
        (self._said.remove_class if good else self._said.add_class)("pt-bad")
        lines = "<br>".join(escape(line) for line in text.splitlines())
        self._said.value = f'<div role="status">{lines}</div>'

    def _wrong(self, text: str) -> None:
        self._say(text, good=False)

    # -- one of them ----------------------------------------------------------------------------

    def _choose(self, row: TaskRow) -> None:
        names = container_names(row)
        self._chosen = None  # while the tabs change
        self._tabs.children = [styled(w.HTML(), "pt-log") for _ in names]
        self._tabs.titles = names
        self._tabs.selected_index = 0
        self._tabs.remove_class("pt-hidden")
        self._chosen = row
        self._read()

    def _read(self) -> None:
        """Asks for the log of the tab that is open."""
        row, number = self._chosen, self._tabs.selected_index
        if row is None or number is None:
            return
        box, name = self._tabs.children[number], self._tabs.titles[number]

        def show(text: str) -> None:
            words = escape(text) or "<i>nothing yet</i>"
            label = escape(f"Log of {name} of {row.found.alias}")
            box.value = f'<pre class="pt-pre" tabindex="0" role="region" aria-label="{label}">{words}</pre>'

        run_in_background(read_log_tail(row.found.name, name, self._options), show, show)

    def _attach(self, row: TaskRow) -> None:
        name = row.found.alias
        try:
            task = find_detached_task(row.found.name) or attach(row.found.name, **self._where)
        except InputError as error:
            self._wrong(str(error))
            return
        self.attached[name] = task
        self._say(f"Attached to {name}: .attached[{name!r}] is its handle, .result() its value.")
        task.add_done_callback(lambda task: self._ended(name, task))

    def _ended(self, name: str, task: Task) -> None:
        self._say(f"{name} has ended: {task.status}.", good=task.status == "ok")
        self.refresh()

    def _end(self, row: TaskRow) -> None:
        found = row.found
        if row.untaken and self._sure != found.name:
            self._sure = found.name
            self._say(
                f"Nobody has taken the result of {found.alias}. Delete again to lose it, "
                "or attach to have it.",
                good=False,
            )
            return

        def gone(_: object) -> None:
            self._say(f"{found.alias} is {'deleted' if row.over else 'cancelled'}.")
            self.refresh()

        task = find_detached_task(row.found.name)
        if task is not None and not task.done():
            task.add_done_callback(gone)
            task.cancel_nowait()  # its own cell says so too
        else:
            run_in_background(delete_task_pod(found.name, self._options), gone, self._wrong)


def _cell(text: str) -> str:
    return f'<span class="pt-cell" title="{escape(text)}">{escape(text)}</span>'
