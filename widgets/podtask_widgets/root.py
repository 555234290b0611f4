"""The outermost box of the form and of the task list: style sheets, and what the page does without the kernel."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w

from .page import styled

# JupyterLab takes each key that reaches the document as a shortcut of command mode, unless a text input has the focus:
# on a select or a button, "b" would add a cell and "d d" would delete the form's. Ctrl+Backspace deletes a word for
# the user, and merges cells for JupyterLab. Text inputs of ipywidgets and tabs of Lumino stop all keys; Escape and
# Shift+Enter must reach JupyterLab from there, too. A page can load the style several times.
PAGE_SCRIPT = (
    "const root=this.closest('.pt');if(root.keepsKeys)return;root.keepsKeys=true;"
    "const leaves=e=>e.key==='Escape'||(e.key==='Enter'&&e.shiftKey),"
    "modified=e=>(e.ctrlKey||e.metaKey||e.altKey)&&e.key!=='Backspace';"
    "root.addEventListener('keydown',e=>{if(leaves(e))e.stopPropagation=e.preventDefault=()=>{}},true);"
    "root.addEventListener('keydown',e=>{if(leaves(e))delete e.preventDefault;else if(!modified(e))e.stopPropagation()});"
    # A generated name is selected, so that typing replaces it.
    # Escape closes the Open menu.
    "root.addEventListener('keydown',e=>{const m=e.target.closest('.pt-open-menu');"
    "if(m&&e.key==='Escape'){e.stopImmediatePropagation();m.parentNode.querySelector('button').click()}},true);"
    "root.addEventListener('focusin',e=>{if(e.target.closest('.pt-generated'))e.target.select()})"
)


def root_box(children: Iterable[Any], *style_sheets: str, rules: str = "") -> Any:
    """Create the box.

    Args:
        children: Widgets in the box.
        *style_sheets: Names of the style sheets.
        rules: More CSS rules.
    """
    css = "".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in style_sheets)
    # A widget cannot contain a script. A page loads the style each time that it shows the box.
    style = w.HTML(f'<style onload="{escape(PAGE_SCRIPT)}">{css}{rules}</style>')
    return styled(w.VBox([styled(style, "pt-hidden"), *children]), "pt")
