"""One photo from bytes to portraits: the steps in their order, and the facts that the report tells."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from pipeline.cutout import compose, segment
from pipeline.cutout.frame import MOST_WIDENED, Frame, Size, outside, room
from pipeline.cutout.matte import continued, refined
from pipeline.errors import PhotoRejected
from pipeline.face import detect, geometry
from pipeline.face.identity import Identity
from pipeline.face.landmarks import Landmarker
from pipeline.image import encode
from pipeline.image.affine import apply, coverage, inverse, sample, scale_of
from pipeline.image.affine import compose as joined
from pipeline.image.decode import decode
from pipeline.image.provenance import mark, refuse_own
from pipeline.models.model_set import ModelSet
from pipeline.recipe import Recipe
from pipeline.restore.restoration import MOST_FACES, Network, Restoration, Restored, blended
from pipeline.stopwatch import Stopwatch
from pipeline.tone import correct
from pipeline.types import Face, Limits, Matrix, Photo, Picture, Pixels, Portrait, Rendered, Result

_LEAST_EYES: Final = 5.0
"""Pixels between the eyes below which there is no face to show."""

_ENLARGED: Final = 2.0


class PortraitPipeline:
    """All models, loaded once; then one photo at a time. `network` takes the place of the kit's restorer."""

    def __init__(self, model_set: ModelSet, network: Network | None = None) -> None:
        for model in model_set.models:
            model.still()
        self._model_set = model_set
        points = 68 if model_set.landmarks.card.name == "landmarks_68" else 5
        self._landmarker = Landmarker(model_set.landmarks.path, points)
        self.find = detect.FaceFinder(self._landmarker, model_set.mmod.path if model_set.mmod else None)
        self.cutout = segment.Cutout(model_set.cutout.path, model_set.device, model_set.threads)
        self.device = self.cutout.device
        network = network or _restorer(model_set, self.device)
        identity = Identity(model_set.identity.path) if network and model_set.identity else None
        self.restoration = Restoration(network, identity, model_set.identity_limit) if network else None

    def process(self, data: bytes, recipe: Recipe, limits: Limits, owner: str) -> Result:
        """The photo's portraits, marked as made from the photo at `owner`. PhotoRejected where there is none."""
        watch = Stopwatch()
        if recipe.restore == "on" and self.restoration is None:
            raise PhotoRejected("invalid_options", f"restore is on, but {self._model_set.unrestored}")
        with watch.stage("decode"):
            photo = decode(data, limits, recipe.background_rgb, refuse_own)
        with watch.stage("detect"):
            faces = self.find(photo.pixels)
        chosen = _chosen(faces, recipe.face_policy, photo)
        portraits = [self.portrait(photo, face, recipe, watch) for face in chosen]
        others = tuple(face for face in faces if face not in chosen)
        restored = self._restored(photo, portraits, others, recipe, watch)
        with watch.stage("tone"):
            portraits = [_finished(portrait, restored, enhance=recipe.photo_enhance) for portrait in portraits]
        with watch.stage("encode"):
            finished = [_encoded(portrait, recipe, mark(owner)) for portrait in portraits]
        facts = self._facts(photo, faces, portraits, recipe) | self._restoration_facts(restored, recipe)
        facts["notes"] = _distinct(facts["notes"], *(notes for _, notes in finished))
        rendered = tuple(
            Rendered(pictures, self._face_facts(portrait))
            for portrait, (pictures, _) in zip(portraits, finished, strict=True)
        )
        return Result(rendered, facts, watch.stages_ms)

    def portrait(self, photo: Photo, face: Face, recipe: Recipe, watch: Stopwatch) -> Portrait:
        """One face of the photo, framed and cut out; neither restored nor in better light."""
        with watch.stage("landmarks"):
            face = replace(face, landmarks=self._landmarker.refine(photo.pixels, face.landmarks))
        frame = Frame(recipe.width, recipe.height, recipe.face_margin)
        with watch.stage("cutout"):
            portrait = self._cut_out(photo, face, frame, oval=recipe.oval_mask)
            return replace(portrait, notes=portrait.notes + _edge_notes(photo, portrait, oval=recipe.oval_mask))

    def _restored(
        self, photo: Photo, portraits: list[Portrait], others: tuple[Face, ...], recipe: Recipe, watch: Stopwatch
    ) -> tuple[Restored, ...]:
        """What became of the faces that the portraits show, the four largest at most."""
        if self.restoration is None or recipe.restore == "off":
            return ()
        seen = [face for face in others if any(_shows(portrait, face) for portrait in portraits)]
        faces = [portrait.face.landmarks for portrait in portraits]
        always = recipe.restore == "on"
        with watch.stage("restore"):
            faces += [self._landmarker.refine(photo.pixels, face.landmarks) for face in seen]
            largest = sorted(faces, key=geometry.side, reverse=True)[:MOST_FACES]
            return tuple(
                self.restoration.face(photo.pixels, points, recipe.enhance_fidelity, always=always)
                for points in largest
            )

    def _restoration_facts(self, restored: tuple[Restored, ...], recipe: Recipe) -> dict[str, Any]:
        """`restoration` in the contract's words, and what became of each face."""
        outcomes = {face.outcome for face in restored}
        without = "off" if recipe.restore == "off" else "unavailable"
        word = next((each for each in ("applied", "dropped", "not_needed") if each in outcomes), without)
        return {"restoration": word, "restored_faces": [face.facts for face in restored]}

    def _cut_out(self, photo: Photo, face: Face, frame: Frame, *, oval: bool) -> Portrait:
        """The portrait in its frame, with the person's alpha; with the background where the mask makes no sense."""
        points, size = face.landmarks, (frame.width, frame.height)
        widest = frame.to_output(points, MOST_WIDENED if oval else 1.0)
        to_room, room_size = room(points, widest, size, photo.pixels.shape)
        mask = self.cutout.mask(_seen_whole(photo, to_room, room_size))
        person = segment.person(mask, apply(to_room, points))
        to_output, notes = frame.to_output(points), _photo_notes(photo, face)
        if person is None:
            return _framed(photo, face, to_output, size, None, (*notes, "mask_suspicious"))
        if oval:
            to_output, widened = _holding_head(frame, face, person, to_room)
            notes += widened
        alpha = sample(person, joined(to_output, inverse(to_room)), *size)
        return _framed(photo, face, to_output, size, alpha, notes)

    def _facts(
        self, photo: Photo, faces: tuple[Face, ...], portraits: list[Portrait], recipe: Recipe
    ) -> dict[str, Any]:
        several = ("several_faces",) if len(faces) > 1 else ()
        points = ("needs_68",) if recipe.restore != "off" and self._landmarker.name != "68" else ()
        return {
            "source": _source(photo),
            "face_count": len(faces),
            "cutout": portraits[0].cutout,
            "notes": _distinct(several, points, *(portrait.notes for portrait in portraits)),
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


def _source(photo: Photo) -> dict[str, Any]:
    return {"format": photo.format, "width": photo.pixels.shape[1], "height": photo.pixels.shape[0]}


def _chosen(faces: tuple[Face, ...], policy: str, photo: Photo) -> tuple[Face, ...]:
    """The faces to make portraits of. PhotoRejected, with the facts so far, where there is none."""
    try:
        return _by_policy(faces, policy, photo.pixels)
    except PhotoRejected as rejection:
        rejection.facts.update(source=_source(photo), faces={"count": len(faces)}, notes=list(photo.notes))
        raise


def _by_policy(faces: tuple[Face, ...], policy: str, pixels: Pixels) -> tuple[Face, ...]:
    if not faces:
        raise PhotoRejected("no_face_detected")
    usable = tuple(face for face in faces if geometry.eye_distance(face.landmarks) >= _LEAST_EYES)
    if not usable:
        apart = max(geometry.eye_distance(face.landmarks) for face in faces)
        raise PhotoRejected("face_too_small", f"{apart:.1f} px between the eyes, at least {_LEAST_EYES:.0f} are needed")
    if policy == "reject" and len(faces) > 1:
        raise PhotoRejected("several_faces", f"{len(faces)} faces")
    if policy == "all":
        return detect.left_to_right(usable)
    return (detect.central(usable, pixels) if policy == "center" else detect.largest(usable),)


def _photo_notes(photo: Photo, face: Face) -> tuple[str, ...]:
    cut = ("face_cut_off",) if outside(face.landmarks, photo.pixels.shape) else ()
    turned = ("turned",) if abs(geometry.roll(face.landmarks)) > np.pi / 4 else ()
    return (*photo.notes, *turned, *cut)


def _edge_notes(photo: Photo, portrait: Portrait, *, oval: bool) -> tuple[str, ...]:
    height, width = portrait.alpha.shape
    visible = compose.both(portrait.alpha, compose.oval(width, height)) if oval else portrait.alpha
    photo_part = coverage(photo.pixels.shape, portrait.to_output, width, height)
    return ("person_cut_off",) if compose.ends_inside(visible, photo_part) else ()


def _holding_head(frame: Frame, face: Face, person: Pixels, to_room: Matrix) -> tuple[Matrix, tuple[str, ...]]:
    """The frame widened just so far that the oval holds the whole head."""
    to_output = frame.to_output(face.landmarks)
    in_room = apply(to_room, geometry.centre(face.landmarks)[None])[0]
    outline = segment.head(person, in_room, geometry.side(face.landmarks) * scale_of(to_room))
    widening = frame.widening(apply(joined(to_output, inverse(to_room)), outline))
    if widening == 1.0:
        return to_output, ()
    too_large = ("head_cut_off",) if widening == MOST_WIDENED else ()
    return frame.to_output(face.landmarks, widening), ("frame_widened", *too_large)


def _seen_whole(photo: Photo, to_room: Matrix, size: Size) -> Pixels:
    """The photo's part, its colours going on where it was transparent: a disc on one colour looks like an object."""
    pixels = sample(photo.pixels, to_room, *size)
    return pixels if photo.alpha is None else continued(pixels, sample(photo.alpha, to_room, *size))


def _framed(
    photo: Photo, face: Face, to_output: Matrix, size: Size, alpha: Pixels | None, notes: tuple[str, ...]
) -> Portrait:
    pixels = sample(photo.pixels, to_output, *size)
    seen = coverage(photo.pixels.shape, to_output, *size)
    if photo.alpha is not None:
        seen = compose.both(seen, sample(photo.alpha, to_output, *size))
    if scale_of(to_output) > _ENLARGED:
        notes += ("enlarged",)
    if alpha is None:
        return Portrait(pixels, seen, face, to_output, photo.grey, "kept_background", notes)
    alpha = compose.both(refined(pixels, alpha), seen)
    return Portrait(compose.foreground(pixels, alpha), alpha, face, to_output, photo.grey, "applied", notes)


def _shows(portrait: Portrait, face: Face) -> bool:
    """Whether the middle of the face is visible in the portrait."""
    (middle,) = np.round(apply(portrait.to_output, geometry.centre(face.landmarks)[None])).astype(int)
    height, width = portrait.alpha.shape
    return bool(0 <= middle[0] < width and 0 <= middle[1] < height and portrait.alpha[middle[1], middle[0]] > 127)


def _finished(portrait: Portrait, restored: tuple[Restored, ...], *, enhance: bool) -> Portrait:
    """With its faces restored and in better light. The light is judged without them: they change nothing else."""
    pixels = blended(portrait.pixels, portrait.to_output, restored, grey=portrait.grey)
    return replace(portrait, pixels=_toned(portrait, pixels) if enhance else pixels)


def _restorer(model_set: ModelSet, device: str) -> Network | None:
    if model_set.restorer is None:
        return None
    from pipeline.restore.restorer import Restorer  # noqa: PLC0415  # without restoration torch is neither loaded nor needed

    return Restorer(model_set.restorer.path, device, model_set.threads)


def _toned(portrait: Portrait, pixels: Pixels) -> Pixels:
    skin = correct.skin_of(portrait.landmarks, pixels.shape, portrait.alpha)
    scale = scale_of(portrait.to_output)
    judged = portrait.pixels
    return correct.improve(pixels, portrait.alpha, skin, grey=portrait.grey, scale=scale, judged=judged)


def _encoded(portrait: Portrait, recipe: Recipe, text: str) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """The PNG and the JPEG, and what there is to note about them."""
    pixels, alpha, fill = (
        _grey(portrait.pixels) if portrait.grey else portrait.pixels,
        portrait.alpha,
        recipe.background_rgb,
    )
    if recipe.oval_mask:
        alpha = compose.in_one_piece(compose.both(alpha, compose.oval(recipe.width, recipe.height)), portrait.landmarks)
    transparent = encode.png(pixels, alpha, dpi=recipe.dpi, mark=text, fill=fill)
    flat = compose.over(pixels, alpha, fill)
    opaque, shrunk = encode.jpeg(flat, dpi=recipe.dpi, mark=text, max_bytes=recipe.max_size_kb * 1024)
    return (transparent, opaque), ("jpeg_shrunk",) if shrunk else ()


def _grey(pixels: Pixels) -> Pixels:
    """All three channels alike, where rounding has moved them apart."""
    return np.repeat(pixels[:, :, 1:2], 3, axis=2)


def _distinct(*notes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for each in notes for note in each))
