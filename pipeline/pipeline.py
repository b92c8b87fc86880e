"""One photo from bytes to portraits: the steps in their order, and the facts for the report."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from pipeline.cutout import compose, segment
from pipeline.cutout.frame import MAX_WIDENING, Frame, Size, cutout_crop, reaches_over_edge
from pipeline.cutout.matte import extrapolate_colours, refine_alpha
from pipeline.errors import PhotoRejected
from pipeline.face import detect, geometry
from pipeline.face.identity import Identity
from pipeline.face.landmarks import Landmarker
from pipeline.image import encode
from pipeline.image.affine import apply, chain, coverage, inverse, sample, scale_of
from pipeline.image.decode import decode
from pipeline.image.provenance import mark, refuse_own
from pipeline.models.model_set import ModelSet
from pipeline.recipe import Recipe
from pipeline.restore.restoration import MAX_FACES, FaceRestoration, RestoreAligned, RestoredFace, blend_restored
from pipeline.stopwatch import Stopwatch
from pipeline.tone import correct
from pipeline.types import Face, Limits, Matrix, Photo, Picture, Pixels, Portrait, Rendered, Result

_MIN_EYE_DISTANCE: Final = 5.0
"""Pixels between the eyes; a face with fewer is rejected."""

_INVISIBLE: Final = 8
"""Alpha up to which nothing can be seen."""

_ONE_COLOUR: Final = 8
"""Levels by which an empty picture may differ in itself: lossy coding, dithering."""

_ENLARGED_FROM: Final = 2.0
"""Output pixels per photo pixel above which the report notes that the portrait is enlarged."""


class PortraitPipeline:
    """All models, loaded once; then one photo at a time.

    Args:
        model_set: The models, and where to run them.
        restore_aligned: Restores faces instead of the model set's restorer.

    Raises:
        ModelError: A model's file changed since it was verified, or does not load.
    """

    def __init__(self, model_set: ModelSet, restore_aligned: RestoreAligned | None = None) -> None:
        for model in model_set.models:
            model.check_unchanged()
        self._model_set = model_set
        points = 68 if model_set.landmarks.card.name == "landmarks_68" else 5
        self._landmarker = Landmarker(model_set.landmarks.path, points)
        self.find_faces = detect.FaceFinder(self._landmarker, model_set.mmod.path if model_set.mmod else None)
        self.segmenter = segment.Segmenter(model_set.cutout.path, model_set.device, model_set.threads)
        self.device = self.segmenter.device
        self._restoration = _load_restoration(model_set, restore_aligned, self.device)

    def process(self, data: bytes, recipe: Recipe, limits: Limits, owner: str) -> Result:
        """Makes the photo's portraits.

        Args:
            data: The photo's bytes.
            recipe: Its options.
            limits: What is too large to decode.
            owner: The photo's path, for the provenance mark in every file.

        Raises:
            PhotoRejected: There is no portrait to make.
            ModelError: The restoration network gives values that are no numbers.
        """
        watch = Stopwatch()
        if recipe.restore == "on" and self._restoration is None:
            raise PhotoRejected("invalid_options", f"restore is on, but {self._model_set.unrestored}")
        with watch.stage("decode"):
            photo = decode(data, limits, recipe.background_rgb, refuse_own)
        with watch.stage("detect"):
            faces = self.find_faces(photo.pixels)
        chosen = _choose_faces(faces, recipe.face_policy, photo)
        portraits = [self.portrait(photo, face, recipe, watch) for face in chosen]
        others = tuple(face for face in faces if face not in chosen)
        restored = self._restore_faces(photo, portraits, others, recipe, watch)
        with watch.stage("tone"):
            portraits = [_finish(portrait, restored, enhance=recipe.photo_enhance) for portrait in portraits]
        with watch.stage("encode"):
            finished = [_encode(portrait, recipe, mark(owner)) for portrait in portraits]
        facts = self._facts(photo, faces, portraits, recipe) | self._restoration_facts(restored, recipe)
        facts["notes"] = _merge_notes(facts["notes"], *(notes for _, notes in finished))
        rendered = tuple(
            Rendered(pictures, self._face_facts(portrait))
            for portrait, (pictures, _) in zip(portraits, finished, strict=True)
        )
        return Result(rendered, facts, watch.stages_ms)

    def portrait(self, photo: Photo, face: Face, recipe: Recipe, watch: Stopwatch) -> Portrait:
        """One face of the photo, framed and cut out; not yet restored or corrected in tone."""
        with watch.stage("landmarks"):
            face = replace(face, landmarks=self._landmarker.refine(photo.pixels, face.landmarks))
        frame = Frame(recipe.width, recipe.height, recipe.face_margin)
        with watch.stage("cutout"):
            portrait = self._cut_out(photo, face, frame, oval=recipe.oval_mask)
            return replace(portrait, notes=portrait.notes + _edge_notes(photo, portrait, oval=recipe.oval_mask))

    def _restore_faces(
        self, photo: Photo, portraits: list[Portrait], others: tuple[Face, ...], recipe: Recipe, watch: Stopwatch
    ) -> tuple[RestoredFace, ...]:
        """Restores the faces that the portraits show, the MAX_FACES largest at most."""
        if self._restoration is None or recipe.restore == "off":
            return ()
        seen = [face for face in others if any(_shows(portrait, face) for portrait in portraits)]
        faces = [portrait.face.landmarks for portrait in portraits]
        always = recipe.restore == "on"
        with watch.stage("restore"):
            faces += [self._landmarker.refine(photo.pixels, face.landmarks) for face in seen]
            largest = sorted(faces, key=geometry.side, reverse=True)[:MAX_FACES]
            return tuple(
                self._restoration.restore_face(photo.pixels, points, recipe.enhance_fidelity, always=always)
                for points in largest
            )

    def _restoration_facts(self, restored: tuple[RestoredFace, ...], recipe: Recipe) -> dict[str, Any]:
        """The report's `restoration`, and an entry for each face."""
        outcomes = {face.outcome for face in restored}
        without = "off" if recipe.restore == "off" else "unavailable"
        word = next((each for each in ("applied", "dropped", "not_needed") if each in outcomes), without)
        return {"restoration": word, "restored_faces": [face.facts for face in restored]}

    def _cut_out(self, photo: Photo, face: Face, frame: Frame, *, oval: bool) -> Portrait:
        """The portrait in its frame with the person's alpha; with its background if the mask is implausible."""
        points, size = face.landmarks, (frame.width, frame.height)
        widest = frame.to_output(points, MAX_WIDENING if oval else 1.0)
        to_crop, crop_size = cutout_crop(points, widest, size, photo.pixels.shape)
        mask = self.segmenter.mask(_crop_to_segment(photo, to_crop, crop_size))
        person = segment.select_person(mask, apply(to_crop, points))
        to_output, notes = frame.to_output(points), _photo_notes(photo, face)
        if person is None:
            return _compose_portrait(photo, face, to_output, size, None, (*notes, "mask_suspicious"))
        if oval:
            to_output, widened = _widen_for_head(frame, face, person, to_crop)
            notes += widened
        alpha = sample(person, chain(to_output, inverse(to_crop)), *size)
        return _compose_portrait(photo, face, to_output, size, alpha, notes)

    def _facts(
        self, photo: Photo, faces: tuple[Face, ...], portraits: list[Portrait], recipe: Recipe
    ) -> dict[str, Any]:
        several = ("several_faces",) if len(faces) > 1 else ()
        points = ("needs_68",) if recipe.restore != "off" and self._landmarker.name != "68" else ()
        return {
            "source": _source_facts(photo),
            "face_count": len(faces),
            "cutout": portraits[0].cutout,
            "notes": _merge_notes(several, points, *(portrait.notes for portrait in portraits)),
            "models": [model.facts for model in self._model_set.models],
        }

    def _face_facts(self, portrait: Portrait) -> dict[str, Any]:
        landmarks = portrait.face.landmarks
        return {
            "faces": {
                "box": [round(value, 1) for value in geometry.box(landmarks)],
                "landmarks": np.round(landmarks, 2).tolist(),
                "landmark_model": self._landmarker.name,
            },
            "geometry": {
                "roll_degrees": round(float(np.degrees(geometry.roll(landmarks))), 2),
                "source_to_output": np.round(portrait.to_output, 6).tolist(),
            },
        }


def _source_facts(photo: Photo) -> dict[str, Any]:
    return {"format": photo.format, "width": photo.pixels.shape[1], "height": photo.pixels.shape[0]}


def _choose_faces(faces: tuple[Face, ...], policy: str, photo: Photo) -> tuple[Face, ...]:
    """The faces to make portraits of. Raises PhotoRejected, with the facts so far, if there are none."""
    try:
        return _by_policy(faces, policy, photo)
    except PhotoRejected as rejection:
        rejection.facts.update(source=_source_facts(photo), faces={"count": len(faces)}, notes=list(photo.notes))
        raise


def _by_policy(faces: tuple[Face, ...], policy: str, photo: Photo) -> tuple[Face, ...]:
    if not faces:
        raise PhotoRejected("no_face_detected", _emptiness(photo))
    usable = tuple(face for face in faces if geometry.eye_distance(face.landmarks) >= _MIN_EYE_DISTANCE)
    if not usable:
        apart = max(geometry.eye_distance(face.landmarks) for face in faces)
        raise PhotoRejected(
            "face_too_small", f"{apart:.1f} px between the eyes, at least {_MIN_EYE_DISTANCE:.0f} are needed"
        )
    if policy == "reject" and len(faces) > 1:
        raise PhotoRejected("several_faces", f"{len(faces)} faces")
    if policy == "all":
        return detect.left_to_right(usable)
    return (detect.central(usable, photo.pixels) if policy == "center" else detect.largest(usable),)


def _emptiness(photo: Photo) -> str:
    """What the hint says of a photo with nothing in it; empty if there is something."""
    which = "the first of the file's pictures" if "first_frame_only" in photo.notes else "the picture"
    if photo.alpha is not None and photo.alpha.max() <= _INVISIBLE:
        return f"{which} is fully transparent"
    ends = photo.pixels.min(axis=(0, 1)), photo.pixels.max(axis=(0, 1))
    return f"{which} is empty: all of it has one colour" if (ends[1] - ends[0]).max() <= _ONE_COLOUR else ""


def _photo_notes(photo: Photo, face: Face) -> tuple[str, ...]:
    cut = ("face_cut_off",) if reaches_over_edge(face.landmarks, photo.pixels.shape) else ()
    turned = ("turned",) if abs(geometry.roll(face.landmarks)) > np.pi / 4 else ()
    return (*photo.notes, *turned, *cut)


def _edge_notes(photo: Photo, portrait: Portrait, *, oval: bool) -> tuple[str, ...]:
    height, width = portrait.alpha.shape
    visible = compose.multiply_alphas(portrait.alpha, compose.oval_alpha(width, height)) if oval else portrait.alpha
    photo_part = coverage(photo.pixels.shape, portrait.to_output, width, height)
    return ("person_cut_off",) if compose.reaches_photo_edge(visible, photo_part) else ()


def _widen_for_head(frame: Frame, face: Face, person: Pixels, to_crop: Matrix) -> tuple[Matrix, tuple[str, ...]]:
    """The frame's transform, widened if the oval would cut the head, and the notes on that."""
    to_output = frame.to_output(face.landmarks)
    centre_in_crop = apply(to_crop, geometry.centre(face.landmarks)[None])[0]
    outline = segment.head_outline(person, centre_in_crop, geometry.side(face.landmarks) * scale_of(to_crop))
    widening = frame.widening(apply(chain(to_output, inverse(to_crop)), outline))
    if widening == 1.0:
        return to_output, ()
    too_large = ("head_cut_off",) if widening == MAX_WIDENING else ()
    return frame.to_output(face.landmarks, widening), ("frame_widened", *too_large)


def _crop_to_segment(photo: Photo, to_crop: Matrix, size: Size) -> Pixels:
    """The crop, its colours continued into transparent parts: a disc on one colour would look like an object."""
    pixels = sample(photo.pixels, to_crop, *size)
    return pixels if photo.alpha is None else extrapolate_colours(pixels, sample(photo.alpha, to_crop, *size))


def _compose_portrait(
    photo: Photo, face: Face, to_output: Matrix, size: Size, alpha: Pixels | None, notes: tuple[str, ...]
) -> Portrait:
    pixels = sample(photo.pixels, to_output, *size)
    seen = coverage(photo.pixels.shape, to_output, *size)
    if photo.alpha is not None:
        seen = compose.multiply_alphas(seen, sample(photo.alpha, to_output, *size))
    if scale_of(to_output) > _ENLARGED_FROM:
        notes += ("enlarged",)
    if alpha is None:
        return Portrait(pixels, seen, face, to_output, photo.grey, "kept_background", notes)
    alpha = compose.multiply_alphas(refine_alpha(pixels, alpha), seen)
    return Portrait(compose.estimate_foreground(pixels, alpha), alpha, face, to_output, photo.grey, "applied", notes)


def _shows(portrait: Portrait, face: Face) -> bool:
    """Whether the face's centre is visible in the portrait."""
    (middle,) = np.round(apply(portrait.to_output, geometry.centre(face.landmarks)[None])).astype(int)
    height, width = portrait.alpha.shape
    return bool(0 <= middle[0] < width and 0 <= middle[1] < height and portrait.alpha[middle[1], middle[0]] > 127)


def _finish(portrait: Portrait, restored: tuple[RestoredFace, ...], *, enhance: bool) -> Portrait:
    """The portrait with faces restored and tone corrected. Tone is measured without them: they change nothing else."""
    pixels = blend_restored(portrait.pixels, portrait.to_output, restored, grey=portrait.grey)
    return replace(portrait, pixels=_correct_tone(portrait, pixels) if enhance else pixels)


def _load_restoration(
    model_set: ModelSet, restore_aligned: RestoreAligned | None, device: str
) -> FaceRestoration | None:
    if restore_aligned is None and model_set.restorer is not None:
        from pipeline.restore.inference import CodeFormerInference  # noqa: PLC0415  # torch is loaded only if needed

        restore_aligned = CodeFormerInference(model_set.restorer.path, device, model_set.threads).restore
    if restore_aligned is None:
        return None
    identity = Identity(model_set.identity.path) if model_set.identity else None
    return FaceRestoration(restore_aligned, identity, model_set.identity_limit)


def _correct_tone(portrait: Portrait, pixels: Pixels) -> Pixels:
    skin = correct.skin_mask(portrait.landmarks, pixels.shape, portrait.alpha)
    scale = scale_of(portrait.to_output)
    reference = portrait.pixels
    return correct.correct_tone(pixels, portrait.alpha, skin, grey=portrait.grey, scale=scale, reference=reference)


def _encode(portrait: Portrait, recipe: Recipe, text: str) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """The PNG and the JPEG, and their notes."""
    pixels = _equal_channels(portrait.pixels) if portrait.grey else portrait.pixels
    alpha, fill = portrait.alpha, recipe.background_rgb
    if recipe.oval_mask:
        inside = compose.multiply_alphas(alpha, compose.oval_alpha(recipe.width, recipe.height))
        alpha = compose.keep_connected(inside, portrait.landmarks)
    transparent = encode.png(pixels, alpha, dpi=recipe.dpi, mark=text, fill=fill)
    flat = compose.composite(pixels, alpha, fill)
    opaque, shrunk = encode.jpeg(flat, dpi=recipe.dpi, mark=text, max_bytes=recipe.max_size_kb * 1024)
    return (transparent, opaque), ("jpeg_shrunk",) if shrunk else ()


def _equal_channels(pixels: Pixels) -> Pixels:
    """All three channels equal; rounding may have moved them apart."""
    return np.repeat(pixels[:, :, 1:2], 3, axis=2)


def _merge_notes(*notes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for each in notes for note in each))
