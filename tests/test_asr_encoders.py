"""Features of large networks: the right layer, at the right moment, of weights that can hold nothing but numbers."""

from __future__ import annotations

import itertools
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hub_doubles import hub_cache
from trifold.errors import DataError, InvalidInput, ModelDamaged, ModelNotFound, WrongTask
from trifold.models.folder import hash_file
from trifold.tasks.asr.sound import encoders
from trifold.tasks.asr.sound.audio import RATE
from trifold.tasks.asr.sound.encoders import Encoder
from trifold.tasks.asr.sound.features import mfcc
from trifold.tasks.asr.sound.reduction import REDUCTION, Reduction

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

_KINDS = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM", "data2vec-audio": "Data2VecAudio"}


def tiny(kind: str, *, large: bool = True, layers: int = 4) -> Any:
    """A random encoder as small as they come. large: with the norms of the large ones."""
    options: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": layers, "num_attention_heads": 4}
    options |= {"intermediate_size": 64, "conv_dim": (16,) * 7, "num_conv_pos_embedding_groups": 4}
    options |= {"num_conv_pos_embeddings": 2 if kind != "data2vec-audio" else 3}
    if kind != "data2vec-audio":
        options |= {"feat_extract_norm": "layer" if large else "group", "do_stable_layer_norm": large}
    torch.manual_seed(0)
    config = getattr(transformers, f"{_KINDS[kind]}Config")(**options)
    return getattr(transformers, f"{_KINDS[kind]}Model")(config).eval()


def saved(folder: Path, network: Any, **extractor: Any) -> Path:
    """As it lies in a folder of the hub, with what is known of its features where that is given."""
    network.save_pretrained(folder)
    if extractor:
        known = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": RATE, **extractor}
        (folder / "preprocessor_config.json").write_text(json.dumps(known))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of a tiny wav2vec 2.0 with four layers."""
    return saved(tmp_path_factory.mktemp("encoder") / "tiny", tiny("wav2vec2"), do_normalize=True)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """The same to change."""
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def hiss(seconds: float, seed: int = 0) -> np.ndarray[Any, Any]:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("kind", _KINDS)
def test_every_second_frame_is_the_layers_own(kind: str, large: bool, tmp_path: Path) -> None:
    network = tiny(kind, large=large)
    encoder = Encoder.open(str(saved(tmp_path / kind, network, do_normalize=False)), 2)
    samples = hiss(1.5)
    with torch.inference_mode():
        own = network(torch.from_numpy(samples)[None], output_hidden_states=True).hidden_states[2][0].numpy()
    found = encoder.frames(samples)
    assert (encoder.width, encoder.field, encoder.step) == (32, 400, 320)
    assert found.dtype == np.float32
    assert np.allclose(found[::2], own, atol=1e-4)
    assert np.allclose(found[1:-1:2], (own[:-1] + own[1:])[: len(found[1:-1:2])] / 2, atol=1e-4)
    assert own.std(0).mean() > 100 * 1e-4  # so that another layer or frame would be seen


@pytest.mark.parametrize("samples", [0, 399, 400, 559, 560, 719, 720, 880, 16_000, 16_079, 16_080])
def test_there_are_as_many_frames_as_of_cepstra(folder: Path, samples: int) -> None:
    sound = hiss(2)[:samples]
    assert Encoder.open(str(folder)).frames(sound).shape == (len(mfcc(sound)), 32)


def onset(features: np.ndarray[Any, Any]) -> int:
    """The first frame that is nearer to those of the second half than to those of the first."""
    far = [
        np.linalg.norm(features - np.median(features[first:last], 0), axis=1) for first, last in ((20, 80), (120, 180))
    ]
    return 20 + int(np.argmax(far[0][20:] > far[1][20:]))


def test_what_begins_at_a_second_is_heard_in_frame_hundred(folder: Path) -> None:
    # Whole periods in a frame's step, so that all frames of a tone are the same.
    low, high = (0.3 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE) for hertz in (500, 1000))
    samples = np.concatenate([low, high]).astype(np.float32)
    found = onset(Encoder.open(str(folder), 1).frames(samples))
    assert abs(found - 99) <= 1  # frame 99 is the first whose middle is in the second tone: 990 + 12.5 ms
    assert abs(found - onset(mfcc(samples))) <= 1


@pytest.mark.parametrize("large", [True, False])
def test_windows_of_a_long_recording_are_heard_as_the_whole_is(
    large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder.open(str(saved(tmp_path / "tiny", tiny("wav2vec2", large=large), do_normalize=True)))
    samples = hiss(11.3)
    whole = encoder.frames(samples)
    monkeypatch.setattr(encoders, "_CORE", 2 * RATE)
    parts = encoder.frames(samples)
    assert whole.shape == parts.shape
    assert not np.array_equal(whole, parts), "it was not cut"
    # What follows a seam is not wrong either: the context is heard with it.
    assert np.abs(whole - parts).max() < 0.2 * whole.std()
    assert np.abs(whole[1:] - whole[:-1]).max() > 2 * whole.std()  # so a frame too many or too few would be seen


def test_memory_is_bounded_by_windows(folder: Path) -> None:
    encoder, heard = Encoder.open(str(folder)), []
    network = encoder._network
    hook = network.register_forward_pre_hook(lambda _, given: heard.append(given[0].shape[1]))
    frames = encoder.frames(hiss(100))
    hook.remove()
    assert len(frames) == len(mfcc(hiss(100)))
    assert len(heard) == 4
    assert max(heard) <= 32 * RATE + 400


def test_the_layer_matters_and_has_a_default(folder: Path, tmp_path: Path) -> None:
    samples = hiss(1)
    features = {layer: Encoder.open(str(folder), layer).frames(samples) for layer in range(1, 5)}
    assert all(not np.allclose(features[a], features[b], atol=1e-3) for a in features for b in features if a < b)
    default = Encoder.open(str(folder))
    assert default.layer == 2
    assert np.array_equal(default.frames(samples), features[2])
    assert np.array_equal(default.frames(samples), default.frames(samples))
    assert Encoder.open(str(saved(tmp_path / "deep", tiny("hubert", layers=24)))).layer == 15
    for layer in (0, 5):
        with pytest.raises(InvalidInput, match="layer: expected 1 to 4"):
            Encoder.open(str(folder), layer)
    with pytest.raises(InvalidInput, match="device: torch cannot use 'nowhere'"):
        Encoder.open(str(folder), device="nowhere")


@pytest.mark.parametrize(
    ("large", "extractor", "scaled"),
    [
        (True, {"do_normalize": True}, True),
        (True, {"do_normalize": False}, False),
        (False, {"do_normalize": True}, True),
        (True, {}, True),
        (False, {}, False),
    ],
)
def test_recordings_are_scaled_as_the_network_learnt(
    large: bool, extractor: dict[str, Any], scaled: bool, tmp_path: Path
) -> None:
    encoder = Encoder.open(str(saved(tmp_path / "tiny", tiny("wav2vec2", large=large), **extractor)))
    assert encoder.scaled == scaled
    samples = hiss(1)
    quieter = np.asarray(0.2 * samples + 0.05, np.float32)
    assert np.allclose(encoder.frames(samples), encoder.frames(quieter), atol=1e-3) == scaled
    if scaled:  # as the extractor itself does
        extract = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
        expected = extract(quieter, sampling_rate=RATE)["input_values"][0]
        assert np.allclose(encoder._prepared(quieter), expected, atol=1e-4)


def test_a_processors_settings_are_read_where_they_are_inside(copied: Path) -> None:
    (copied / "preprocessor_config.json").unlink()
    (copied / "processor_config.json").write_text(json.dumps({"feature_extractor": {"do_normalize": False}}))
    assert not Encoder.open(str(copied)).scaled


def test_weights_under_the_names_of_older_checkpoints_are_the_same(folder: Path, copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    renamed = {}
    for name, tensor in load_file(copied / "model.safetensors").items():
        old = name.replace("parametrizations.weight.original0", "weight_g")
        renamed["wav2vec2." + old.replace("parametrizations.weight.original1", "weight_v")] = tensor
    assert any(name.endswith("weight_g") for name in renamed)
    renamed["lm_head.weight"] = torch.zeros(5, 32)
    del renamed["wav2vec2.masked_spec_embed"]
    save_file(renamed, copied / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((copied / "config.json").read_text()) | {"architectures": ["Wav2Vec2ForCTC"]}
    (copied / "config.json").write_text(json.dumps(config))
    samples = hiss(1)
    assert np.array_equal(Encoder.open(str(copied)).frames(samples), Encoder.open(str(folder)).frames(samples))


class _Trap:
    """What leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (self.trace,)  # type: ignore[return-value]


def test_pickled_weights_are_not_opened(copied: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trap = pickle.dumps(_Trap(trace))
    pickle.loads(trap)
    assert trace.exists()
    trace.unlink()
    (copied / "pytorch_model.bin").write_bytes(trap)
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelDamaged, match=r"model\.safetensors, found none; .* not opened.*save_pretrained"):
        Encoder.open(str(copied))
    assert not trace.exists()


def test_code_beside_the_weights_is_not_run(copied: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (copied / "modeling_own.py").write_text(f"open({str(trace)!r}, 'w')\nclass Own: ...\n")
    config = json.loads((copied / "config.json").read_text()) | {"auto_map": {"AutoModel": "modeling_own.Own"}}
    (copied / "config.json").write_text(json.dumps(config))
    assert Encoder.open(str(copied)).frames(hiss(1)).shape[1] == 32
    assert not trace.exists()


def test_what_is_no_encoder_is_refused(copied: Path, bert_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongTask, match=r"expected an encoder of speech .* found 'bert'"):
        Encoder.open(str(bert_folder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelDamaged, match=r"found no config\.json"):
        Encoder.open(str(tmp_path / "empty"))
    for name in (str(tmp_path / "nowhere"), "nowhere", "./nowhere", "n" * 5000):
        with pytest.raises(ModelNotFound, match="expected the folder of an encoder of speech"):
            Encoder.open(name)
    extractor = copied / "preprocessor_config.json"
    for wrong in ('{"sampling_rate": 8000}', '{"do_normalize": 3}', "[]", "{"):
        extractor.write_text(wrong)
        with pytest.raises(ModelDamaged, match=r"preprocessor_config\.json is not that of an encoder of 16,000 Hz"):
            Encoder.open(str(copied))


def test_damaged_weights_are_told(copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = copied / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in tensors if name.startswith("encoder.layers.1."))
    save_file({key: one for key, one in tensors.items() if key != name}, weights, metadata={"format": "pt"})
    with pytest.raises(ModelDamaged, match=f"lack {name} and would hear at random"):
        Encoder.open(str(copied))
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelDamaged, match="it cannot be loaded"):
        Encoder.open(str(copied))
    save_file({key: one * np.nan for key, one in tensors.items()}, weights, metadata={"format": "pt"})
    encoder = Encoder.open(str(copied))
    with pytest.raises(ModelDamaged, match="expected numbers as features"):
        encoder.frames(hiss(1))


def test_whose_weights_they_are(folder: Path, copied: Path, hub_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Encoder.open(str(folder))
    assert local.identity == f"tiny@sha256:{hash_file(folder / 'model.safetensors')}"
    monkeypatch.chdir(folder.parent)
    assert Encoder.open("tiny").identity == local.identity
    hub_cache(hub_folder, "someone/tiny", folder)
    cached = Encoder.open("someone/tiny")
    assert cached.identity.startswith("someone/tiny@0123456789ab")
    assert np.array_equal(cached.frames(hiss(1)), local.frames(hiss(1)))
    with pytest.raises(ModelNotFound, match="HF_HUB_OFFLINE forbids to download"):
        Encoder.open("someone/else")


def test_weights_in_parts_are_read(tmp_path: Path, folder: Path) -> None:
    parts = tmp_path / "parts"
    tiny("wav2vec2").save_pretrained(parts, max_shard_size="50KB")
    assert len(list(parts.glob("model-*.safetensors"))) > 1
    encoder = Encoder.open(str(parts))
    assert "@sha256:" in encoder.identity
    assert np.array_equal(encoder.frames(hiss(1)), Encoder.open(str(folder)).frames(hiss(1)))


def mixed(count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Frames of 12 features that are made of 5 of different strength."""
    chance = np.random.default_rng(seed)
    made = chance.standard_normal((count, 5)) * [8, 5, 3, 2, 1]
    return (made @ np.random.default_rng(9).standard_normal((5, 12)) + 100).astype(np.float32)


def test_principal_components_are_those_of_all_parts() -> None:
    frames = mixed(3000)
    found = Reduction.fit([frames[:10], frames[:0], frames[10:1700], frames[1700:]], 4)
    _, _, directions = np.linalg.svd(frames - frames.mean(0), full_matrices=False)
    assert np.allclose(np.abs(np.sum(found.components * directions[:4].T, 0)), 1, atol=1e-3)
    reduced = found.apply(frames)
    assert reduced.dtype == np.float32
    assert np.allclose(reduced.mean(0), 0, atol=1e-2)
    assert np.allclose(reduced.std(0), 1, atol=1e-2)
    assert np.allclose(np.corrcoef(reduced.T), np.eye(4), atol=1e-2)
    uneven = Reduction.fit([frames], 4, even=False).apply(frames).std(0)
    assert np.allclose((uneven**2).mean(), 1, atol=1e-2)
    assert all(a > 1.1 * b for a, b in itertools.pairwise(uneven))
    assert Reduction.fit([frames]).width == 5  # there are no more
    for nothing in ([], [frames[:0]], [frames[:1]], [np.repeat(frames[:1], 9, 0)]):
        with pytest.raises(DataError, match="expected frames that differ"):
            Reduction.fit(nothing)


def test_principal_components_are_kept_in_a_file_of_arrays(tmp_path: Path) -> None:
    reduction = Reduction.fit([mixed(500)], 3)
    reduction.write(tmp_path)
    again = Reduction.read(tmp_path)
    assert np.array_equal(again.apply(mixed(50, 1)), reduction.apply(mixed(50, 1)))
    path = tmp_path / REDUCTION
    whole = {"mean": again.mean, "components": again.components, "spread": again.spread}
    wrong: list[dict[str, Any]] = [
        {**whole, "mean": again.mean[:-1]},
        {**whole, "spread": again.spread * 0},
        {**whole, "mean": again.mean * np.nan},
        {**whole, "mean": np.array([{}])},
        {**whole, "mean": np.array(["a"])},
        {"mean": again.mean},
    ]
    for arrays in wrong:
        np.savez(path, **arrays)
        with pytest.raises(ModelDamaged, match="not principal components"):
            Reduction.read(tmp_path)
    trace = tmp_path / "trace"
    pickled: dict[str, Any] = {**whole, "mean": np.array([_Trap(trace)], object)}
    np.savez(path, **pickled)
    with pytest.raises(ModelDamaged, match="not principal components"):
        Reduction.read(tmp_path)
    assert not trace.exists()
    for content in (b"", b"PK\x03\x04 cut", pickle.dumps(whole)):
        path.write_bytes(content)
        with pytest.raises(ModelDamaged, match="not principal components"):
            Reduction.read(tmp_path)


def test_frames_are_reduced_on_the_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, samples = Encoder.open(str(folder)), hiss(5)
    reduction = Reduction.fit([encoder.frames(samples)], 8)
    monkeypatch.setattr(encoders, "_CORE", 2 * RATE)
    assert np.allclose(encoder.frames(samples, reduction), reduction.apply(encoder.frames(samples)), atol=1e-3)
    assert encoder.frames(samples[:10], reduction).shape == (0, 8)
    with pytest.raises(DataError, match="expected one of 32 features, found 12"):
        encoder.frames(samples, Reduction.fit([mixed(50)]))
