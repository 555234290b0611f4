"""``TemplateBuilder``: a form that shows and edits a pod template."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import ipywidgets as w
import traitlets
from podtask.api import resolve
from podtask.errors import InputError, Problem
from podtask.template import store
from podtask.template.template import PodTemplate

from .draft import Draft
from .examples import EXAMPLES
from .header import Header
from .history import History
from .list_editors import focus
from .open_menu import OpenMenu
from .page import Page, SharedStyles, styled
from .pages import PAGES, YAML_PAGE, find_page
from .problem_text import problem_sentences, problem_text
from .root import root_box
from .server_check import ServerAnswer, check_on_server
from .static_view import StaticView
from .validation import Validation, pod_to_yaml, validate
from .yaml_view import highlight

TEMPLATE_TITLE, POD_TITLE = "Template", "Pod that a cell gets"


class TemplateBuilder(traitlets.HasTraits):
    """Form for a pod template. Make it the last expression of a cell to show it.

    Args:
        template: Template to start with: a PodTemplate, anything that ``PodTemplate.of`` takes, or
            the name of a template (of this notebook, saved, or ``pod-template/NAME``). Without one,
            the form is empty.
        name: Name to save the template under; by default the name that ``template`` gives.

    Raises:
        InputError: ``template`` is not a template, or there is no template with that name.

    Attributes:
        template: The current PodTemplate; can be set and observed. While the form contains an
            invalid template, such as a container without a name, it is the last valid one.
        widget: The form, to be placed into other widgets.
    """

    template = traitlets.Instance(PodTemplate)
    name = traitlets.Unicode("")

    def __init__(self, template: Any = None, name: str = "") -> None:
        initial, default_name = _load_template(template)
        super().__init__(template=initial, name=name or default_name)
        self._draft = Draft(initial)
        self._static_view = StaticView(self._mimebundle)
        self._form: _Form | None = None
        self.observe(self._on_template_change, "template")

    @property
    def widget(self) -> Any:
        """The form."""
        if self._form is None:
            self._form = _Form(self, self._draft, self._static_view.style)
        return self._form.widget

    def _on_template_change(self, change: Any) -> None:
        self._static_view.update()
        if self._draft.to_dict() == change["new"].to_dict():  # the change comes from the form
            return
        self._draft.load(change["new"])
        if self._form is not None:
            self._form.reload()

    def __repr__(self) -> str:
        return f"TemplateBuilder({self.template!r})"

    def _ipython_display_(self) -> None:
        """Display the form, and the template as HTML for front ends that do not run widgets."""
        self._static_view.display_with(self.widget)

    def _mimebundle(self) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.template._repr_html_()}


class _Form:
    """The widgets of a builder."""

    def __init__(self, builder: TemplateBuilder, draft: Draft, hiding_style: str) -> None:
        self._builder, self._draft = builder, draft
        self._styles = SharedStyles()
        self._version = 0  # version of the draft; a page of an older version is rebuilt when it is shown
        self._built_versions: dict[int, int] = {}  # by the index of the page
        self._pages: dict[int, Page] = {}
        self._server_problems: tuple[Problem, ...] = ()  # of the last check
        self._previous_lines: set[str] | None = None
        self._name_to_replace = ""  # a saved template that the next click on Save replaces
        self._validation: Validation = validate(draft)
        self._history = History(draft)
        self._header = Header(
            self._show_first_problem,
            self._check,
            self._save,
            self._use,
            self._undo,
            OpenMenu(self._menu_entries).widget,
        )
        self._header.name.value = builder.name
        self._header.name.observe(self._name_changed, "value")
        traitlets.link((builder, "name"), (self._header.name, "value"))
        self._boxes = [styled(w.VBox([]), "pt-page") for _ in PAGES]
        self._tabs = styled(w.Tab(self._boxes, titles=self._titles()), "pt-tabs")
        self._tabs.observe(lambda _: self._tab_changed(), "selected_index")
        self._yaml = styled(w.HTML(), "pt-code")
        self.widget = root_box(
            [
                self._header.widget,
                styled(w.Box([self._tabs, styled(w.Box([self._yaml]), "pt-side")]), "pt-body"),
            ],
            "form.css",
            rules=hiding_style,
        )
        self._tabs.selected_index = 0
        self._show_page()
        self._refresh()
        self._show_use()
        resolve.observe_session_template(self._show_use)

    def reload(self, focus_on: str = "") -> None:
        """Show the draft again after it was changed in another way than by an input.

        Args:
            focus_on: Name of the widget of the page that gets the focus, because its own was closed; "" for none.
        """
        self._draft.add_required_fields()
        self._version += 1
        self._server_problems = ()
        self._show_page()
        self._refresh()
        if focus_on:
            focus(self._pages[self._tabs.selected_index or 0].focus_targets[focus_on])

    # -- pages ----------------------------------------------------------------------------------

    def _tab_changed(self) -> None:
        self._show_page()
        self._show_yaml()

    def _show_yaml(self, changed: AbstractSet[str] = frozenset()) -> None:
        """Show the template in YAML; beside the YAML page, which contains it, show the pod of a cell.

        Args:
            changed: Lines to highlight as changed.
        """
        shown = self._validation
        if PAGES[self._tabs.selected_index or 0] is YAML_PAGE and shown.pod is not None:
            self._yaml.value = highlight(POD_TITLE, pod_to_yaml(shown.pod), {})
        else:
            self._yaml.value = highlight(TEMPLATE_TITLE, shown.text, shown.notes, changed)

    def _show_page(self) -> None:
        page = self._page(self._tabs.selected_index or 0)
        page.refresh(self._described_problems())

    def _page(self, index: int) -> Page:
        """Return a page, which is built if it does not show this version of the draft."""
        if self._built_versions.get(index) == self._version:
            return self._pages[index]
        page = Page(
            self._styles,
            self._draft,
            lambda: self._draft_changed(index),
            self.reload,
            lambda text: self._header.show_message(text, is_error=True),
        )
        for widget in self._boxes[index].children:
            page.close(widget)
        self._pages[index] = page
        self._built_versions[index] = self._version
        self._boxes[index].children = PAGES[index].build(page)
        return page

    def _draft_changed(self, index: int) -> None:
        self._draft.add_required_fields()
        self._version += 1
        self._built_versions[index] = self._version
        self._server_problems = ()
        self._name_to_replace = ""
        self._refresh(self._pages[index].change_source)

    # -- state ----------------------------------------------------------------------------------

    def _refresh(self, change_source: object = None) -> None:
        """Show the draft after a change.

        Args:
            change_source: The input that has changed it; None if something else has.
        """
        self._history.record(change_source)
        self._header.show_undo(bool(self._history))
        self._validation = validate(self._draft)
        if self._validation.template is not None:
            self._builder.template = self._validation.template
        lines = set(self._validation.text.splitlines())
        changed = lines - self._previous_lines if self._previous_lines is not None else set()
        self._previous_lines = lines
        self._show_yaml(changed)
        titles = self._titles()
        if self._tabs.titles != titles:
            self._tabs.titles = titles
        problems = self._problems()
        path = problems[0].path if problems else ""
        self._header.show_state(len(problems), self._text_of(problems[0]) if problems else "", path)
        self._header.update_copy_menu(self._builder.template, self._draft)
        if not self._server_problems:
            self._header.show_message("\n".join(self._draft.notices))
        page = self._pages.get(self._tabs.selected_index or 0)
        if page:
            page.refresh(self._described_problems())

    def _problems(self) -> list[Problem]:
        input_problems = [
            Problem(each.ref.path, f": {each.error}", "")
            for index, page in self._pages.items()
            if self._built_versions[index] == self._version
            for each in page.inputs
            if each.error
        ]
        return [*input_problems, *self._template_problems()]

    def _template_problems(self) -> list[Problem]:
        return [*self._validation.problems, *self._server_problems]

    def _described_problems(self) -> list[tuple[str, str]]:
        return [(each.path, problem_sentences(each, self._label_of)) for each in self._template_problems()]

    def _text_of(self, problem: Problem) -> str:
        """Return a problem as sentences that begin with the label of its field."""
        return problem_text(problem, self._label_of)

    def _label_of(self, path: str) -> str:
        """Return the label of the input for a field; the title of its page if the page edits it as a whole."""
        if path == self._draft.container.path:
            return "Primary container"
        index = find_page(path, self._draft.container.path)
        page = self._page(index)
        # An entry of a list, such as spec.volumes[0], has the label of its name.
        field_input = (page.find_input(f"{path}.name") if path.endswith("]") else None) or page.find_input(
            path
        )
        if field_input is not None:
            return field_input.label
        return PAGES[index].title if path in PAGES[index].paths else ""

    def _titles(self) -> tuple[str, ...]:
        counts = [page.count(self._draft) if page.count else 0 for page in PAGES]
        return tuple(
            f"{page.title} {count}" if count else page.title
            for page, count in zip(PAGES, counts, strict=True)
        )

    def _show_first_problem(self) -> None:
        problems = self._problems()
        if not problems:
            return
        path = problems[0].path
        self._tabs.selected_index = find_page(path, self._draft.container.path)
        self._header.show_message(self._text_of(problems[0]), is_error=True, tooltip=path)
        page = self._pages[self._tabs.selected_index]
        field_input = next((each for each in page.inputs if each.error), None) or page.find_input(path)
        if field_input is not None:
            focus(field_input.widget)

    # -- buttons --------------------------------------------------------------------------------

    def _name_changed(self, change: Any) -> None:
        self._name_to_replace = ""
        self._header.update_copy_menu(self._builder.template, self._draft)

    def _is_valid(self, action: str) -> bool:
        """Return whether there are no problems; otherwise show the first one.

        Args:
            action: Participle for the message, such as "saved": what a template with problems cannot be.
        """
        problems = self._problems()
        if problems:
            text = f"Not {action}. {self._text_of(problems[0])}"
            self._header.show_message(text, is_error=True, tooltip=problems[0].path)
        return not problems

    def _check(self) -> None:
        if self._is_valid("checked"):
            self._header.show_message("Checking with the API server …")
            version = self._version
            check_on_server(self._builder.template, lambda answer: self._show_answer(answer, version))

    def _show_answer(self, answer: ServerAnswer, version: int) -> None:
        if version != self._version:  # the template has changed in the meantime
            return
        self._server_problems = answer.problems
        self._refresh()
        self._header.show_message(answer.message, is_error=not answer.accepted)

    def _save(self) -> None:
        name = self._header.name.value.strip()
        if not self._is_valid("saved"):
            return
        if not name:
            self._header.show_message("Enter a name first.", is_error=True)
            focus(self._header.name)
            return
        replace = self._name_to_replace == name
        try:
            path = store.save_template(name, self._builder.template, store.saves_for_user(), replace)
        except InputError as error:
            self._name_to_replace = name if name in store.saved_templates() else ""
            hint = "Click Save again to replace it." if self._name_to_replace else error.hint
            self._header.show_message(f"{error.message}\n{hint}", is_error=True)
            return
        self._name_to_replace = ""
        self._header.show_message(f"Saved to {path}\nUse it with %%podtask -t {name}")

    def _use(self) -> None:
        if resolve.is_session_template(self._builder):
            resolve.set_session_template(None)
            self._header.show_message("Cells of this session no longer use this template.")
        elif self._is_valid("used"):
            name = self._header.name.value.strip()
            resolve.set_session_template(self._builder, f"{name} (form)" if name else "a form")
            self._header.show_message(
                "All cells of this session use this template now, including later changes in this form."
            )

    def _show_use(self) -> None:
        self._header.show_use(resolve.is_session_template(self._builder))

    def _undo(self) -> None:
        self._history.undo()
        self.reload()

    # -- the Open menu ---------------------------------------------------------------------------

    def _menu_entries(self) -> list[tuple[str, dict[str, Callable[[], None]]]]:
        examples: dict[str, Callable[[], None]] = {
            name: functools.partial(self._open, example, name.replace(" ", "-").lower())
            for name, example in EXAMPLES.items()
        }
        saved: dict[str, Callable[[], None]] = {
            name: functools.partial(self._open, functools.partial(PodTemplate.of, path), name)
            for name, path in store.saved_templates().items()
        }
        return [
            ("Start from", {**examples, "from YAML": self._write_yaml}),
            *([("Saved templates", saved)] if saved else []),
        ]

    def _open(self, load: Callable[[], PodTemplate], name: str) -> None:
        try:
            self._builder.template = load()
        except InputError as error:
            self._header.show_message(str(error), is_error=True)
            return
        self._builder.name = name
        self._header.show_message(f"Opened {name}. Undo brings back what was here.")

    def _write_yaml(self) -> None:
        self._tabs.selected_index = PAGES.index(YAML_PAGE)
        focus(self._pages[self._tabs.selected_index].inputs[0].widget)


def _load_template(source: Any) -> tuple[PodTemplate, str]:
    """Return a template from any form that the builder takes, and its name."""
    if source is None:
        return PodTemplate(), ""
    if isinstance(source, str) and "\n" not in source:
        # Start-up cost: loaded when it is first needed.
        import __main__  # the variables of the notebook, in which templates are looked up

        template = resolve.find_template(source, vars(__main__), resolve.merge_options({}))
        return template, Path(source).stem.removeprefix(resolve.CLUSTER_TEMPLATE_PREFIX)
    return PodTemplate.of(source), ""
