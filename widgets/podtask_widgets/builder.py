"""``TemplateBuilder``: a form for a pod template, a view over its ``template``."""

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
from .pages import PARTS, page_of
from .server_check import ServerAnswer, check
from .static_view import StaticView
from .validation import Validation, judge
from .yaml_view import coloured

STYLE = Path(__file__).with_name("form.css").read_text(encoding="utf-8")


class TemplateBuilder(traitlets.HasTraits):
    """A form for a pod template. Show it as a cell's last expression.

    Args:
        template: what to begin with: a PodTemplate or anything ``PodTemplate.of`` takes, the name
            of one (of this notebook, saved, or ``pod-template/NAME``), or nothing.
        name: under which it is saved; by default the name it was given by.

    Raises:
        InputError: it is no template, or there is none of that name.

    Attributes:
        template: the PodTemplate as it is now; may be set, and observed. While a draft is none (a
            container without a name, say) it is the last one that was.
        widget: the form, to be put into other widgets.
    """

    template = traitlets.Instance(PodTemplate)
    name = traitlets.Unicode("")

    def __init__(self, template: Any = None, name: str = "") -> None:
        given, called = _given(template)
        super().__init__(template=given, name=name or called)
        self._draft = Draft(given)
        self._kept = StaticView(self._bundle)
        self._form: _Form | None = None
        self.observe(self._set, "template")

    @property
    def widget(self) -> Any:
        """The form."""
        if self._form is None:
            self._form = _Form(self, self._draft, self._kept.style)
        return self._form.widget

    def _set(self, change: Any) -> None:
        self._kept.renew()
        if self._draft_is(change["new"]):  # typed into the form
            return
        self._draft.become(change["new"])
        if self._form is not None:
            self._form.renew()

    def _draft_is(self, template: PodTemplate) -> bool:
        return self._draft.to_dict() == template.to_dict()

    def __repr__(self) -> str:
        return f"TemplateBuilder({self.template.to_python()})"

    def _ipython_display_(self) -> None:
        """Shows the form; a file without a kernel, and pages that know no widgets, the template."""
        self._kept.show(self.widget)

    def _bundle(self) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.template._repr_html_()}


class _Form:
    """The widgets of a builder."""

    def __init__(self, builder: TemplateBuilder, draft: Draft, style: str) -> None:
        self._builder, self._draft = builder, draft
        self._looks = SharedStyles()
        self._version = 0  # of the draft: a page that has seen another one is built anew when shown
        self._seen: dict[int, int] = {}
        self._pages: dict[int, Page] = {}
        self._server: tuple[Problem, ...] = ()  # what the last check found
        self._lines: set[str] | None = None
        self._confirmed = ""
        self.opinion: Validation = judge(draft)
        self._header = Header(self._lead, self._check, self._save, self._use)
        self._header.name.value = builder.name
        self._header.name.observe(self._named, "value")
        traitlets.link((builder, "name"), (self._header.name, "value"))
        self._boxes = [styled(w.VBox([]), "pt-page") for _ in PARTS]
        self._tabs = styled(w.Tab(self._boxes, titles=self._titles()), "pt-tabs")
        self._tabs.observe(lambda _: self._show(), "selected_index")
        self._code = styled(w.HTML(), "pt-code")
        self.widget = styled(
            w.VBox(
                [
                    styled(w.HTML(f"<style>{STYLE}{style}</style>"), "pt-hidden"),
                    self._header.widget,
                    styled(w.Box([self._tabs, styled(w.Box([self._code]), "pt-side")]), "pt-body"),
                ]
            ),
            "pt",
        )
        self._tabs.selected_index = 0
        self._show()
        self._refresh()

    def renew(self) -> None:
        """Shows a draft that somebody else has changed."""
        self._version += 1
        self._server = ()
        self._show()
        self._refresh()

    # -- pages ----------------------------------------------------------------------------------

    def _show(self) -> None:
        number = self._tabs.selected_index or 0
        if self._seen.get(number) == self._version:
            return
        page = Page(self._looks, self._draft, lambda: self._changed(number), self._replace)
        for old in self._boxes[number].children:
            page.forget(old)
        self._pages[number] = page
        self._seen[number] = self._version
        self._boxes[number].children = PARTS[number].build(page)
        page.judge(self._found())

    def _changed(self, number: int) -> None:
        self._draft.settle()
        self._version += 1
        self._seen[number] = self._version
        self._server = ()
        self._confirmed = ""
        self._refresh()

    def _replace(self, template: PodTemplate) -> None:
        self._builder.template = template

    # -- what is said of it ---------------------------------------------------------------------

    def _refresh(self) -> None:
        self.opinion = judge(self._draft)
        if self.opinion.template is not None:
            self._builder.template = self.opinion.template
        lines = set(self.opinion.text.splitlines())
        new = lines - self._lines if self._lines is not None else set()
        self._lines = lines
        self._code.value = coloured(self.opinion.text, self.opinion.marks, new)
        titles = self._titles()
        if self._tabs.titles != titles:
            self._tabs.titles = titles
        problems = self._problems()
        self._header.show(len(problems), _sentence(problems[0]) if problems else "")
        self._header.offer(self._builder.template, self.opinion.text)
        if not self._server:
            self._header.say("")
        current = self._pages.get(self._tabs.selected_index or 0)
        if current:
            current.judge(self._found())

    def _problems(self) -> list[Problem]:
        unread = [
            Problem(each.place.path, each.wrong, "")
            for number, page in self._pages.items()
            if self._seen[number] == self._version
            for each in page.inputs
            if each.wrong
        ]
        return [*unread, *self._found()]

    def _found(self) -> list[Problem]:
        return [*self.opinion.problems, *self._server]

    def _titles(self) -> tuple[str, ...]:
        counts = [part.count(self._draft) if part.count else 0 for part in PARTS]
        return tuple(
            f"{part.title} {count}" if count else part.title
            for part, count in zip(PARTS, counts, strict=True)
        )

    def _lead(self) -> None:
        problems = self._problems()
        if not problems:
            return
        path = problems[0].path
        self._tabs.selected_index = page_of(path, self._draft.container.path)
        self._header.say(_sentence(problems[0]), good=False)
        page = self._pages[self._tabs.selected_index]
        owner = next((each for each in page.inputs if each.wrong), None) or page.owner(path)
        if owner is not None:
            focus(owner.widget)

    # -- what is done with it -------------------------------------------------------------------

    def _named(self, change: Any) -> None:
        self._confirmed = ""
        self._header.offer(self._builder.template, self.opinion.text)

    def _sound(self, what: str) -> bool:
        problems = self._problems()
        if problems:
            self._header.say(f"Not {what}: {_sentence(problems[0])}", good=False)
        return not problems

    def _check(self) -> None:
        if self._sound("checked"):
            self._header.say("Asking the cluster …")
            version = self._version
            check(self._builder.template, lambda verdict: self._checked(verdict, version))

    def _checked(self, verdict: ServerAnswer, version: int) -> None:
        if version != self._version:  # typed on in the meantime
            return
        self._server = verdict.problems
        self._refresh()
        self._header.say(verdict.text, verdict.good)

    def _save(self) -> None:
        name = self._header.name.value.strip()
        if not self._sound("saved"):
            return
        if not name:
            self._header.say("Give it a name first.", good=False)
            focus(self._header.name)
            return
        replace = self._confirmed == name
        try:
            path = store.save(name, self._builder.template, store.for_user(), replace)
        except InputError as error:
            self._confirmed = name if name in store.saved() else ""
            more = "Save again to replace it." if self._confirmed else error.hint
            self._header.say(f"{error.message}\n{more}", good=False)
            return
        self._confirmed = ""
        self._header.say(f"Saved: {path}\nUse it with %%podtask -t {name}")

    def _use(self) -> None:
        if self._sound("used"):
            resolve.set_session_template(self._builder)
            self._header.say(
                "Cells of this session run in this template from now on, with what you "
                "still change here.\n%podtask use none ends that."
            )


def _given(template: Any) -> tuple[PodTemplate, str]:
    """Returns a template from what there is of it, and its name."""
    if template is None:
        return PodTemplate(), ""
    if isinstance(template, str) and "\n" not in template:
        import __main__

        found = resolve.find_template(template, vars(__main__), resolve.merge_options({}))
        return found, Path(template).stem.removeprefix(resolve.IN_CLUSTER)
    return PodTemplate.of(template), ""


def _sentence(problem: Problem) -> str:
    return " ".join(f"{problem.path} {problem.message} {problem.hint}".replace(" : ", ": ").split())
