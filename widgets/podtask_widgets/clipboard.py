"""The Copy menu, as HTML: the browser copies the text without the kernel. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from podtask.formatting import safe_html

# Browsers have a clipboard only for https and localhost; elsewhere the text is selected and copied.
COPY_SCRIPT = (
    "const b=this,t=b.dataset.text,m=b.closest('details'),"
    "old=()=>{const a=document.createElement('textarea');a.value=t;document.body.append(a);"
    "a.select();document.execCommand('copy');a.remove()},"
    "done=()=>{const s=m.querySelector('summary');s.textContent='Copied';m.open=false;s.focus();"
    "setTimeout(()=>s.textContent='Copy',1200)};"
    "navigator.clipboard?navigator.clipboard.writeText(t).then(done,()=>{old();done()}):(old(),done())"
)
CLOSE_ON_ESCAPE = "if(event.key==='Escape'){this.open=false;this.querySelector('summary').focus()}"
CLOSE_ON_FOCUS_OUT = "if(event.relatedTarget&&!this.contains(event.relatedTarget))this.open=false"


def copy_menu(texts: Mapping[str, str]) -> str:
    """Return the menu; the texts are copied without credentials.

    Args:
        texts: The text to copy for each entry, by the entry's label.
    """
    entries = "".join(
        f'<button type="button" data-text="{safe_html(text)}" onclick="{escape(COPY_SCRIPT)}">{escape(label)}</button>'
        for label, text in texts.items()
    )
    return (
        f'<details class="pt-copy" onkeydown="{escape(CLOSE_ON_ESCAPE)}" '
        f'onfocusout="{escape(CLOSE_ON_FOCUS_OUT)}"><summary>Copy</summary><div>{entries}</div></details>'
    )
