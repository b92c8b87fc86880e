"""Selects and verifies the models that the settings ask for."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from handler.config.settings import CommonSettings
from handler.models import libraries
from pipeline.errors import ModelError
from pipeline.models.catalog import Verified, card, cutout_model, locate, verified
from pipeline.models.device import CUDA, choose_device
from pipeline.models.model_set import ModelSet


def build_model_set(settings: CommonSettings) -> ModelSet:
    """Verify every byte of the models that a portrait needs.

    Raises:
        ModelError: A model is missing or wrong; with the fix.
    """
    landmarks = _landmarks(settings)
    with ThreadPoolExecutor() as files:  # reading takes longest, and is faster for several files at once
        points = files.submit(verified, settings.models_dir, landmarks, settings.model_files())
        cutout = files.submit(_cutout, settings)
        mmod = files.submit(_if_present, settings, "mmod")
        restoring = files.submit(_restorer, settings, landmarks)
        identity = files.submit(_if_present, settings, "identity") if will_restore(settings) else None
    model = points.result()  # of several errors, this one is raised first
    restorer, unrestored = restoring.result()
    return ModelSet(
        landmarks=model,
        cutout=cutout.result(),
        mmod=mmod.result(),
        restorer=restorer,
        unrestored=unrestored,
        identity=identity.result() if identity else None,
        identity_limit=settings.identity_limit,
        device=settings.device,
        threads=max(1, (os.cpu_count() or 1) // settings.workers),
    )


def _cutout(settings: CommonSettings) -> Verified:
    return verified(settings.models_dir, cutout_model(settings.models_dir).name)


def will_restore(settings: CommonSettings) -> bool:
    """Whether the model set will have a restorer, unless its file is wrong."""
    return settings.restore != "off" and not _unrestorable(settings, _landmarks(settings))


def _landmarks(settings: CommonSettings) -> str:
    """The name of the model: 68 points, 5, or with `auto` 68 if that file is present."""
    if settings.landmarks != "auto":
        return f"landmarks_{settings.landmarks}"
    return (
        "landmarks_68"
        if _is_present(settings, "landmarks_68") or not _is_present(settings, "landmarks_5")
        else "landmarks_5"
    )


def _restorer(settings: CommonSettings, landmarks: str) -> tuple[Verified | None, str]:
    """The restoration model, or why there is none. Raises ModelError if it is required and cannot be used."""
    if settings.restore == "off":
        return None, "FACECRAFT_RESTORE is off"
    fault = _unrestorable(settings, landmarks)
    if not fault:
        return verified(settings.models_dir, "codeformer", settings.model_files()), ""
    if settings.restore == "on":
        raise ModelError(f"FACECRAFT_RESTORE=on, but {fault} Or set it to auto or off.")
    return None, fault


def _unrestorable(settings: CommonSettings, landmarks: str) -> str:
    """What is missing for restoration, with the fix. A file that is present but wrong is another error."""
    if landmarks != "landmarks_68":
        chosen = settings.landmarks != "auto"
        fix = "set FACECRAFT_LANDMARKS to auto or 68" if chosen else "run `facecraft models fetch landmarks_68`"
        return f"it needs the 68 landmarks (needs_68): {fix}."
    if _is_present(settings, "codeformer"):
        return ""
    path = locate(settings.models_dir, card("codeformer"), settings.model_files())
    return f"{path} is missing: run `facecraft models fetch codeformer`."


def _is_present(settings: CommonSettings, name: str) -> bool:
    return locate(settings.models_dir, card(name), settings.model_files()).exists()


def _if_present(settings: CommonSettings, name: str) -> Verified | None:
    """A model that is useful but not needed. It is an error all the same if it is present but wrong."""
    return verified(settings.models_dir, name) if _is_present(settings, name) else None


def check(settings: CommonSettings) -> list[str]:
    """Verifies the models and the device, as the start of a service does.

    Returns:
        One line with the fix for each model that is replaced or unavailable although the service can start.

    Raises:
        ModelError: The service cannot start; with the fix.
    """
    model_set = build_model_set(settings)
    _check_device(settings.device)
    return list(_shortcomings(settings, model_set))


def _shortcomings(settings: CommonSettings, model_set: ModelSet) -> Iterator[str]:
    if settings.landmarks == "auto" and model_set.landmarks.card.name != "landmarks_68":
        yield _missing("landmarks_68", f"{model_set.landmarks.card.name} is used instead")
    if model_set.cutout.card.name != "u2net_human_seg":
        yield _missing("u2net_human_seg", f"{model_set.cutout.card.name} is used instead")
    if model_set.mmod is None:
        yield _missing("mmod", "faces that the first detector misses are not found")
    if settings.restore != "off" and model_set.restorer is None:
        yield f"restoration is unavailable: {model_set.unrestored}"
    if model_set.restorer and model_set.identity is None:
        yield _missing("identity", "restored faces are not compared with the photo's")


def _missing(name: str, consequence: str) -> str:
    return f"{name} is missing, {consequence}: run `facecraft models fetch {name}`."


def _check_device(device: str) -> None:
    libraries.prepare()
    import onnxruntime  # noqa: PLC0415  # only `check` needs it in this process

    choose_device(device, gpu=CUDA in onnxruntime.get_available_providers(), runtime="onnxruntime")
