"""Which models the settings ask for, verified."""

import os
from concurrent.futures import ThreadPoolExecutor

from handler.config.settings import CommonSettings
from handler.models import libraries
from pipeline.errors import ModelError
from pipeline.models.catalog import Verified, card, cutout_model, locate, verified
from pipeline.models.device import CUDA, choose_device
from pipeline.models.model_set import ModelSet


def build_model_set(settings: CommonSettings) -> ModelSet:
    """Verify the models that a portrait needs, every byte. ModelError says what is wrong with which, and the fix."""
    landmarks = _landmarks(settings)
    with ThreadPoolExecutor() as files:  # to read them is most of it, and several are read faster than one
        points = files.submit(verified, settings.models_dir, landmarks, settings.model_files())
        cutout = files.submit(_cutout, settings)
        mmod = files.submit(_if_present, settings, "mmod")
        restoring = files.submit(_restorer, settings, landmarks)
        identity = files.submit(_if_present, settings, "identity") if will_restore(settings) else None
    model = points.result()  # of several faults the first one is told
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
    """Whether the kit is going to have a restorer, unless its file is wrong."""
    return settings.restore != "off" and not _unrestorable(settings, _landmarks(settings))


def _landmarks(settings: CommonSettings) -> str:
    """The name of the model: 68 points, 5, or (`auto`) 68 where that file is present."""
    if settings.landmarks != "auto":
        return f"landmarks_{settings.landmarks}"
    return "landmarks_68" if _there(settings, "landmarks_68") or not _there(settings, "landmarks_5") else "landmarks_5"


def _restorer(settings: CommonSettings, landmarks: str) -> tuple[Verified | None, str]:
    """The restoration model, or why there is none. ModelError where it is required and cannot be used."""
    if settings.restore == "off":
        return None, "FACECRAFT_RESTORE is off"
    fault = _unrestorable(settings, landmarks)
    if not fault:
        return verified(settings.models_dir, "codeformer", settings.model_files()), ""
    if settings.restore == "on":
        raise ModelError(f"FACECRAFT_RESTORE=on, but {fault} Or set it to auto or off.")
    return None, fault


def _unrestorable(settings: CommonSettings, landmarks: str) -> str:
    """What is missing and the fix; a model that is there but wrong is an error of its own."""
    if landmarks != "landmarks_68":
        return "restoration needs the 68 landmarks (needs_68): run `facecraft models fetch landmarks_68`."
    if _there(settings, "codeformer"):
        return ""
    path = locate(settings.models_dir, card("codeformer"), settings.model_files())
    return f"{path} is missing: run `facecraft models fetch codeformer`."


def _there(settings: CommonSettings, name: str) -> bool:
    return locate(settings.models_dir, card(name), settings.model_files()).exists()


def _if_present(settings: CommonSettings, name: str) -> Verified | None:
    """A model that helps and is not needed; one that is there but wrong is an error all the same."""
    return verified(settings.models_dir, name) if _there(settings, name) else None


def faults(settings: CommonSettings) -> list[str]:
    """What is wrong with the models, one line each, with the fix; empty where all is well."""
    try:
        build_model_set(settings)
        _check_device(settings.device)
    except ModelError as error:
        return [str(error)]
    return []


def _check_device(device: str) -> None:
    libraries.prepare()
    import onnxruntime  # noqa: PLC0415  # only `check` needs it in this process

    choose_device(device, gpu=CUDA in onnxruntime.get_available_providers(), runtime="onnxruntime")
