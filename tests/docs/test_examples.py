"""The examples of real work that need no pod."""

from __future__ import annotations

import pytest

from tests.differential.libraries import library_environment
from tests.docs.examples import example
from tests.notebook import Kernel, Shell


def test_sweep(kernel: Kernel) -> None:
    """A sweep over a grid brings one loss for each combination, in order."""
    kernel.run("%env PODTASK_BACKEND=local")
    functions, cell, best = example("A sweep over parameters")
    assert kernel.run(functions).error is None
    ran = kernel.run(cell.replace("--workers 6", "--workers 2"))
    assert ran.error is None
    found = kernel.run(best)
    assert found.result is not None
    assert found.result["text/plain"].endswith(", (0.1, 8))")
    assert kernel.run("print(len(loss), loss[1] == train(0.01, 2))").stdout == "12 True\n"


@pytest.mark.matrix
def test_search_with_scikit_learn() -> None:
    """A search of scikit-learn runs its fits in workers and finds the best parameters."""
    (search,) = example("A search with scikit-learn")
    kernel = Kernel({**library_environment(), "PODTASK_BACKEND": "local"})
    try:
        ran = kernel.run(search.replace("n_jobs=4", "n_jobs=2"))
        assert ran.error is None
        assert ran.result is not None
        assert "'gamma'" in ran.result["text/plain"]
    finally:
        kernel.close()


def test_training_on_a_gpu(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod of the training has the GPU, its toleration, shared memory, and both claims."""
    template, cell = example("Training on a GPU")
    shell.run(template)
    shell["train"] = str
    monkeypatch.setenv("KUBECONFIG", "/dev/null")
    preview = shell.run(cell.replace("%%podtask ", "%%podtask --dry-run "))
    text = preview.to_yaml()
    for expected in (
        "nvidia.com/gpu: '1'",
        "key: nvidia.com/gpu",
        "medium: Memory",
        "claimName: imagenet",
        "claimName: results",
        "image: pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime",
    ):
        assert expected in text, expected
