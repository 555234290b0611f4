"""``TemplateBuilder``: a form that shows and edits a pod template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as w
import traitlets
from podtask.api import resolve
from podtask.errors import InputError, Problem
from podtask.template import store
from podtask.template.template import PodTemplate

from .draft import Draft
from .header import Header
from .list_editors import focus
from .page import Page, SharedStyles, styled
from .pages import PAGES, find_page
from .root import root_box
from .server_check import ServerAnswer, check_on_server
from .static_view import StaticView
from .validation import Validation, validate
from .yaml_view import highlight


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
        self._header = Header(self._show_first_problem, self._check, self._save, self._use)
        self._header.name.value = builder.name
        self._header.name.observe(self._name_changed, "value")
        traitlets.link((builder, "name"), (self._header.name, "value"))
        self._boxes = [styled(w.VBox([]), "pt-page") for _ in PAGES]
        self._tabs = styled(w.Tab(self._boxes, titles=self._titles()), "pt-tabs")
        self._tabs.observe(lambda _: self._show_page(), "selected_index")
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

    def _show_page(self) -> None:
        index = self._tabs.selected_index or 0
        if self._built_versions.get(index) == self._version:
            return
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
        page.refresh(self._template_problems())

    def _draft_changed(self, index: int) -> None:
        self._draft.add_required_fields()
        self._version += 1
        self._built_versions[index] = self._version
        self._server_problems = ()
        self._name_to_replace = ""
        self._refresh()

    # -- state ----------------------------------------------------------------------------------

    def _refresh(self) -> None:
        self._validation = validate(self._draft)
        if self._validation.template is not None:
            self._builder.template = self._validation.template
        lines = set(self._validation.text.splitlines())
        changed = lines - self._previous_lines if self._previous_lines is not None else set()
        self._previous_lines = lines
        self._yaml.value = highlight(self._validation.text, self._validation.notes, changed)
        titles = self._titles()
        if self._tabs.titles != titles:
            self._tabs.titles = titles
        problems = self._problems()
        self._header.show_state(len(problems), _sentence(problems[0]) if problems else "")
        self._header.update_copy_menu(self._builder.template, self._draft)
        if not self._server_problems:
            self._header.show_message("\n".join(self._draft.notices))
        page = self._pages.get(self._tabs.selected_index or 0)
        if page:
            page.refresh(self._template_problems())

    def _problems(self) -> list[Problem]:
        input_problems = [
            Problem(each.ref.path, each.error, "")
            for index, page in self._pages.items()
            if self._built_versions[index] == self._version
            for each in page.inputs
            if each.error
        ]
        return [*input_problems, *self._template_problems()]

    def _template_problems(self) -> list[Problem]:
        return [*self._validation.problems, *self._server_problems]

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
        self._header.show_message(_sentence(problems[0]), is_error=True)
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
            self._header.show_message(f"Not {action}: {_sentence(problems[0])}", is_error=True)
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
        if self._is_valid("used"):
            resolve.set_session_template(self._builder)
            self._header.show_message(
                "All cells of this session use this template now, including later changes in this form.\n"
                "Run %podtask use none to stop using it."
            )


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


def _sentence(problem: Problem) -> str:
    return " ".join(f"{problem.path} {problem.message} {problem.hint}".replace(" : ", ": ").split())
