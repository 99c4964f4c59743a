import dataclasses
import json

import pytest

from zoo.errors import UserError
from zoo.training.config import TrainConfig
from zoo.training.run_folder import RunFolder, default_path, require_space
from zoo.training.run_folder import start as start_run

METADATA = {"dataset": "digits", "class_names": ["0", "1"], "examples": {"train": 10}}


def start(path, config, *, resume):
    return start_run(path, config, METADATA, resume=resume)


def test_config_survives_the_folder(tmp_path):
    config = TrainConfig(schedule="step", milestones=("3", "60steps"), clip_norm=None)
    assert start(tmp_path / "run", config, resume=False).read_config() == config


def test_an_existing_run_is_not_overwritten(tmp_path):
    (start(tmp_path / "run", TrainConfig(), resume=False).checkpoints / "step_00000010").mkdir(parents=True)
    with pytest.raises(UserError, match=r"`output` must be a new or empty folder.*--resume"):
        start(tmp_path / "run", TrainConfig(epochs=1), resume=False)
    assert RunFolder(tmp_path / "run").read_config() == TrainConfig()


def test_a_run_that_failed_in_its_first_epoch_makes_room(tmp_path):
    start(tmp_path / "run", TrainConfig(), resume=False).logs.mkdir()
    assert start(tmp_path / "run", TrainConfig(epochs=1), resume=False).read_config() == TrainConfig(epochs=1)
    (tmp_path / "run" / "thesis.txt").write_text("not ours")
    with pytest.raises(UserError, match=r"`output` must be a new"):
        start(tmp_path / "run", TrainConfig(), resume=False)


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(
        UserError, match=r"`resume` needs the folder of a run.*output='.*nothing', which does not exist"
    ):
        start(tmp_path / "nothing", TrainConfig(), resume=True)
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(UserError, match=r"which has none.*leave out --resume"):
        start(tmp_path, TrainConfig(), resume=True)


def test_a_folder_that_is_no_run_is_not_offered_for_a_resume(tmp_path):
    (tmp_path / "thesis.txt").write_text("not ours")
    with pytest.raises(UserError, match=r"which exists and is no run\. Choose another folder"):
        start(tmp_path, TrainConfig(), resume=False)


def test_resume_refuses_other_settings(tmp_path):
    start(tmp_path / "run", TrainConfig(), resume=False)
    with pytest.raises(UserError, match=r"norm='bn' \(the run has 'gn'\)"):
        start(tmp_path / "run", dataclasses.replace(TrainConfig(), norm="bn"), resume=True)


def test_a_run_goes_on_on_another_machine(tmp_path):
    start(tmp_path / "run", TrainConfig(strategy="one", jit="off", data_dir="here"), resume=False)
    moved = TrainConfig(strategy="multi_worker", jit="auto", data_dir="there")
    assert start(tmp_path / "run", moved, resume=True).read_config() == moved


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ["1", "0"]}, r"class_names \['1', '0'\] instead of \['0', '1'\]"),
        ({"examples": {"train": 11}}, r"examples \{'train': 11\} instead of \{'train': 10\}"),
    ],
)
def test_resume_refuses_other_data(tmp_path, changes, message):
    start(tmp_path / "run", TrainConfig(), resume=False)
    with pytest.raises(UserError, match=r"`resume` needs the data that the run began with.*" + message):
        start_run(tmp_path / "run", TrainConfig(), {**METADATA, **changes}, resume=True)


def test_a_run_that_was_killed_while_its_folder_was_made_starts_again(tmp_path, monkeypatch):
    class KillError(Exception):
        pass

    def kill(self):
        raise KillError

    with monkeypatch.context() as patch:
        patch.setattr(TrainConfig, "to_json", kill)
        with pytest.raises(KillError):
            start(tmp_path, TrainConfig(), resume=False)
    assert RunFolder(tmp_path).task_file.exists()
    assert start(tmp_path, TrainConfig(), resume=False).read_config() == TrainConfig()


def test_a_resume_removes_half_written_files(tmp_path):
    start(tmp_path, TrainConfig(), resume=False)
    (tmp_path / ".0123abcd.best.keras").write_bytes(b"half a model")
    (tmp_path / ".0123abcd.export").mkdir()
    (tmp_path / ".mine").write_text("not ours")
    start(tmp_path, TrainConfig(), resume=True)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "task.json", ".mine"}


def test_a_damaged_best_model_is_named(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(UserError, match=r"must have ended an epoch: .*best\.keras is missing"):
        folder.load_best_model()
    folder.best_model.write_bytes(b"PK half a model")
    with pytest.raises(UserError, match=r"best\.keras can't be read"):
        folder.load_best_model()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="`output` must be a folder that can be written to"):
        start(tmp_path / "file" / "run", TrainConfig(), resume=False)


def test_a_broken_config_is_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.config_file.write_text("{")
    with pytest.raises(UserError, match=r"config\.json is not valid JSON"):
        folder.read_config()
    folder.config_file.write_text("[]")
    with pytest.raises(UserError, match=r"config\.json must hold a JSON object"):
        folder.read_config()
    folder.config_file.write_text(json.dumps({"batch_size": "3"}))
    with pytest.raises(UserError, match=r"values that train\.py wrote"):
        folder.read_config()
    folder.config_file.write_text(json.dumps({"batchsize": 3}))
    with pytest.raises(UserError, match="Did you mean batch_size"):
        folder.read_config()


def test_default_paths_are_numbered_and_resume_takes_the_newest(tmp_path):
    config = TrainConfig(norm="gn:groups=16")
    assert default_path(config, resume=False, root=tmp_path).name == "resnet50-gn-groups-16-digits"
    for number in ("", "-2", "-10"):
        (tmp_path / f"resnet50-gn-groups-16-digits{number}").mkdir()
    (tmp_path / "resnet50-gn-groups-16-digits-old").mkdir()
    assert default_path(config, resume=False, root=tmp_path).name == "resnet50-gn-groups-16-digits-11"
    assert default_path(config, resume=True, root=tmp_path).name == "resnet50-gn-groups-16-digits-10"


def test_a_run_that_would_fill_the_disk_is_refused(tmp_path):
    require_space(tmp_path / "not" / "yet", parameters=1000)
    with pytest.raises(UserError, match="must have room for the checkpoints"):
        require_space(tmp_path, parameters=10**15)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("optimizer", "adam", "Did you mean adamw"),
        ("schedule", "cosin", "Did you mean cosine"),
        ("precision", "float16", "Did you mean float32 or mixed_float16"),
        ("strategy", "mirror", "Did you mean mirrored"),
        ("batch_size", 0, "`batch_size` must be a positive number of images"),
        ("epochs", 0, "`epochs` must be a positive number"),
        ("steps", -1, "`steps` must be a positive number"),
        ("learning_rate", 0.0, "`learning_rate` must be positive"),
        ("label_smoothing", 1.0, "`label_smoothing` must be between 0 and 0.99"),
        ("validation_fraction", 1.0, "`validation_fraction` must be a share"),
        ("clip_norm", -1.0, "`clip_norm` must be positive"),
        ("learning_rate", float("inf"), "`learning_rate` must be positive"),
        ("learning_rate", float("nan"), "`learning_rate` must be positive"),
        ("seed", -1, "`seed` must be between 0"),
        ("seed", 2**32, "`seed` must be between 0"),
        ("warmup", "soon", "`warmup` must be a number of epochs or steps"),
        ("milestones", ("3", "soon"), "`milestones` must be a number of epochs or steps"),
        ("accumulate", 0, "`accumulate` must be a positive number"),
    ],
)
def test_bad_values_are_refused(field, value, message):
    with pytest.raises(UserError, match=message):
        TrainConfig(**{field: value})
