"""A worker of benchmarks/scaling.py, started by the launcher: trains on one core, and writes what its steps took.

scaling_worker.py REQUEST FOLDER    the request is JSON: {"jobs": [...], "steps": ..., "agreement_seconds": ...}
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import tensorflow as tf

from zoo.cli.task import make_task
from zoo.files import write_json
from zoo.training.agreement import Agreement
from zoo.training.checkpoint import Checkpoints, Progress
from zoo.training.config import TrainConfig
from zoo.training.distribute import from_chief, has_several_workers, make_strategy, sum_over_workers, worker_share
from zoo.training.fit import Training, prepare
from zoo.training.native_kernel import prepare_native_kernel
from zoo.training.preemption import Preemption
from zoo.training.replica_fit import mended_metrics

_CHECKPOINTS = 3


def pin(index: int) -> None:
    """Gives this process one core of its own; TensorFlow's threads, which start later, stay on it."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[index]})


def ready(job: Mapping[str, Any], strategy_name: str) -> tuple[Training, Any]:
    """A run as train.py prepares it, whose step is traced, and an iterator over one batch that stays in memory."""
    config = TrainConfig(
        model=job["model"],
        norm=job["norm"],
        dataset="digits",
        image_size=job["image_size"],
        batch_size=job["images"],
        learning_rate=1e-3,
        learning_rate_batch=None,
        strategy=strategy_name,
    )
    training = prepare(config, make_task(config))
    strategy = training.trainer.distribute_strategy
    own = training.task.training_batches(job["images"], seed=0, epoch=0, share=worker_share(strategy))
    own = own.take(1).cache().repeat()
    batches = strategy.distribute_datasets_from_function(lambda _: own) if has_several_workers(strategy) else own
    training.trainer.fit(batches, steps_per_epoch=2, shuffle=False, verbose=0)
    return training, iter(batches)


def steps_to_time(training: Training, batches: Any) -> dict[str, Callable[[], Any]]:
    """The training step; of several workers also the step without its all-reduce, and the all-reduce alone."""
    trainer, strategy = training.trainer, training.trainer.distribute_strategy
    whole = trainer.train_function
    if not has_several_workers(strategy):
        return {"step": lambda: whole(batches)}
    # Keras asks its optimizer for the sum; without it each worker goes on with its own gradients.
    trainer.optimizer._all_reduce_sum_gradients = lambda pairs: pairs
    trainer.make_train_function(force=True)
    alone = trainer.train_function
    with mended_metrics(strategy):
        alone(batches)  # traces
    del trainer.optimizer._all_reduce_sum_gradients

    @tf.function
    def all_reduce() -> Any:
        def of_replica() -> Any:
            like_gradients = [variable.value * 1.0 for variable in trainer.trainable_variables]
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, like_gradients)

        return strategy.run(of_replica)

    all_reduce()
    return {
        "step": lambda: whole(batches),
        "without": lambda: alone(batches),
        "all_reduce": all_reduce,
        "question": lambda: sum_over_workers(strategy, 0),
    }


def seconds_of(calls: Mapping[str, Callable[[], Any]], strategy: Any, *, samples: int) -> dict[str, list[float]]:
    """Samples of each call in turn; all workers begin a call together."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(samples):
        for name, call in calls.items():
            sum_over_workers(strategy, 0)
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def agreement_share(step: Callable[[], Any], strategy: Any, *, seconds: float) -> float:
    """The share of the time of a training, of steps without a pause, that goes into asking who was sent SIGTERM."""
    start = time.perf_counter()
    step()
    steps = from_chief(strategy, max(round(seconds / (time.perf_counter() - start)), 2))
    agreement, asking, start = Agreement(strategy, Preemption()), 0.0, time.perf_counter()
    for _ in range(steps):
        step()
        before = time.perf_counter()
        agreement.ends_after_step()
        asking += time.perf_counter() - before
    return asking / (time.perf_counter() - start)


def checkpoint_seconds(training: Training) -> dict[str, list[float]]:
    """For how long a checkpoint holds up the training, and for how long its thread writes."""
    seconds: dict[str, list[float]] = {"save": [], "write": []}
    with tempfile.TemporaryDirectory() as folder, closing(Checkpoints(Path(folder), training.trainer)) as checkpoints:
        for number in range(_CHECKPOINTS):
            start = time.perf_counter()
            checkpoints.save(Progress(step=number))
            saved = time.perf_counter()
            checkpoints.wait()
            seconds["save"].append(saved - start)
            seconds["write"].append(time.perf_counter() - saved)
    return seconds


def measure(job: Mapping[str, Any], request: Mapping[str, Any], strategy_name: str) -> dict[str, Any]:
    training, batches = ready(job, strategy_name)
    strategy = training.trainer.distribute_strategy
    calls = steps_to_time(training, batches)
    found: dict[str, Any] = seconds_of(calls, strategy, samples=request["steps"])
    if has_several_workers(strategy):
        found["agreement"] = [agreement_share(calls["step"], strategy, seconds=request["agreement_seconds"])]
    return found | checkpoint_seconds(training)


def main() -> None:
    request, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    cluster = json.loads(os.environ["TF_CONFIG"])
    index, workers = cluster["task"]["index"], len(cluster["cluster"]["worker"])
    pin(index)
    strategy_name = "multi_worker" if workers > 1 else "one"
    make_strategy(strategy_name)
    prepare_native_kernel()
    write_json(folder / f"worker_{index}.json", [measure(job, request, strategy_name) for job in request["jobs"]])
    sum_over_workers(make_strategy(strategy_name), 0)  # the end of a worker would end the others


if __name__ == "__main__":
    main()
