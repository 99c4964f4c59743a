from zoo.training.progress_bar import ProgressBar


def test_a_worker_without_a_bar_logs_each_epoch(caplog, capsys):
    caplog.set_level("INFO")
    bar = ProgressBar(20, step_images=8, shown=False)
    bar.on_train_begin()
    bar.on_epoch_begin(2)
    bar.on_train_batch_end(0, {"loss": 1.5})
    bar.on_epoch_end(2, {"loss": 1.25, "val_accuracy": 0.5})
    bar.close()
    (line,) = caplog.messages
    assert line.split()[:2] == ["epoch", "3"]
    assert line.endswith("loss 1.25  val_accuracy 0.5")
    assert not capsys.readouterr().err
