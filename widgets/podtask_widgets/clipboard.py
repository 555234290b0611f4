"""The menu that copies the template, as HTML: copying is the browser's, without the kernel. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

# Outside https and localhost browsers have no clipboard: there the text is selected and copied.
COPY = (
    "const b=this,t=b.dataset.text,m=b.closest('details'),"
    "old=()=>{const a=document.createElement('textarea');a.value=t;document.body.append(a);"
    "a.select();document.execCommand('copy');a.remove()},"
    "done=()=>{const s=m.querySelector('summary');s.textContent='Copied';m.open=false;s.focus();"
    "setTimeout(()=>s.textContent='Copy',1200)};"
    "navigator.clipboard?navigator.clipboard.writeText(t).then(done,()=>{old();done()}):(old(),done())"
)
CLOSE = "if(event.key==='Escape'){this.open=false;this.querySelector('summary').focus()}"


LEFT = "if(event.relatedTarget&&!this.contains(event.relatedTarget))this.open=false"


def menu(texts: Mapping[str, str]) -> str:
    """Returns the menu.

    Args:
        texts: what is copied, by the words of its entry.
    """
    entries = "".join(
        f'<button type="button" data-text="{escape(text)}" onclick="{escape(COPY)}">{escape(words)}</button>'
        for words, text in texts.items()
    )
    return (
        f'<details class="pt-copy" onkeydown="{escape(CLOSE)}" onfocusout="{escape(LEFT)}"><summary>Copy</summary>'
        f"<div>{entries}</div></details>"
    )
