"""The closed lists of reasons and notes: the only words a report uses for what went wrong or what to know."""

from types import MappingProxyType
from typing import Final

REASONS: Final = MappingProxyType(
    {
        # rejected: the photo itself has to change
        "empty_file": "The file has no content: copy it again from its origin.",
        "not_an_image": "The bytes are not a picture: send a JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF.",
        "unsupported_format": "This format is not read: save it as JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF.",
        "truncated": "The end of the picture is missing: copy or export it again.",
        "damaged": "The picture's data is damaged: export it again from the original.",
        "too_large": "The picture is over the limit: send a smaller one or raise the limit named here.",
        "no_face_detected": "No face was found: send a photo that shows one face from the front, well lit.",
        "face_too_small": "The face has too few pixels: send a photo taken closer or in a higher resolution.",
        "several_faces": "More than one face was found and the policy is reject: crop the photo to one person.",
        "own_output": "This is a portrait that Facecraft made: send the original photo.",
        "invalid_options": "The options of this photo are not valid: correct the value named here.",
        "archived": "The photo lies in an archive (S3 Glacier): restore it, as with `aws s3api restore-object`; it is "
        "processed when the event ObjectRestore:Completed arrives, or after `replay`.",
        "name_blocked": "Something that is not a result lies where the result belongs: move it away.",
        # failed: the photo may be fine
        "unreadable": "The photo or its sidecar could not be read: check permissions, and the disk or network behind.",
        "processing_crashed": "Each attempt ended its process: send the photo in another format, or `replay` it.",
        "processing_timed_out": "Took longer than FACECRAFT_PHOTO_TIMEOUT_SECONDS: raise that or send a smaller photo.",
        "processing_error": "Processing failed each time: see this report's error; `replay` tries it again.",
    }
)

NOTES: Final = MappingProxyType(
    {
        "several_faces": "more than one face was found; the policy chose",
        "enlarged": "the result is enlarged more than 2x from the photo",
        "mask_suspicious": "the cut-out made no sense, so the background was kept",
        "first_frame_only": "the file holds several pictures; the first was used",
        "face_cut_off": "the face reaches over the photo's edge",
        "needs_68": "restoration is unavailable with 5 landmarks; it needs the model with 68",
        "person_cut_off": "the photo ends inside the picture, and the person with it",
        "had_transparency": "transparent parts of the photo were filled with the background colour",
        "damaged": "the picture's data looks damaged: compare the portrait with the photo",
        "profile_ignored": "the colour profile could not be used",
        "hdr_tone_mapped": "the photo has a high dynamic range; what is brighter than white was compressed",
        "turned": "the photo lay on its side or head and was turned upright by its face",
        "frame_widened": "the frame was widened so that the oval does not cut the head",
        "head_cut_off": "hair or hat reach over the oval even so",
        "jpeg_shrunk": "the JPEG was reduced in size to stay under its limit",
    }
)
