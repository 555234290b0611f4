"""The matplotlib backend of a cell: display figures as Jupyter's inline backend does.

matplotlib imports it when the cell makes its first figure.
"""

from typing import Any, Optional

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

FigureCanvas = FigureCanvasAgg
FigureManager = FigureManagerBase


def new_figure_manager(num: int, *args: Any, FigureClass: Any = Figure, **kwargs: Any) -> Any:  # noqa: N803 -- matplotlib's name
    """Return the manager of a new figure; pyplot calls this."""
    return new_figure_manager_given_figure(num, FigureClass(*args, **kwargs))


def new_figure_manager_given_figure(num: int, figure: Any) -> Any:
    """Return the manager of an existing figure."""
    return FigureManagerBase(FigureCanvasAgg(figure), num)


def show(close: Optional[bool] = None, block: Optional[bool] = None) -> None:
    """Display all figures and close them: on ``plt.show()`` and at the end of a cell."""
    # Start-up cost: loaded when it is first needed.
    import builtins

    managers = Gcf.get_all_fig_managers()
    try:
        for manager in managers:
            builtins.display(manager.canvas.figure)  # type: ignore[attr-defined]
    finally:
        if managers and close is not False:
            Gcf.destroy_all()
