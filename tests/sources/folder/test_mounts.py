"""Inboxes on mounts of all kinds: which of them tell of changes, and what happens where they do not."""

import pytest

from sources.folder.mounts import filesystem_types, unwatchable_mounts
from tests.sources.folder.namespaces import alone

HOST = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:21 / /proc rw shared:1 master:2 - proc proc rw\n"
NAS = rb"30 22 0:40 / /mnt/my\040nas rw - cifs //nas/photos rw" + b"\n"
MORE = b"31 22 0:41 / /mnt rw - nfs4 nas:/ rw\n32 31 8:2 / /mnt/local rw - xfs /dev/sdb rw\n"


@pytest.mark.parametrize(
    ("root", "mounts", "kinds"),
    [
        ("/photos", HOST, ["ext4"]),
        ("/proc/1", HOST, ["proc"]),
        ("/process", HOST, ["ext4"]),
        ("/mnt/my nas/in", HOST + NAS, ["cifs"]),
        ("/mnt", HOST + NAS, ["ext4", "cifs"]),
        ("/mnt/local", HOST + MORE, ["xfs"]),
        ("/", HOST + NAS, ["ext4", "proc", "cifs"]),
        ("/mnt/my nas", HOST + NAS + NAS.replace(b"cifs", b"tmpfs"), ["tmpfs"]),
        ("/photos", b"", [""]),
    ],
)
def test_the_deepest_mount_above_and_all_below_a_folder_count(root, mounts, kinds):
    assert filesystem_types(root, mounts) == kinds


def test_a_folder_of_this_machine_is_not_silent(tmp_path):
    assert unwatchable_mounts(str(tmp_path)) == []


FOLDERS = """
from tests.sources.folder.folder_helpers import Run, jpeg, until
inbox = here / "in"
inbox.mkdir()
"""


def test_folders_beyond_the_limit_of_watches_are_scanned_more_often(tmp_path):
    code = """
for name in "abcdef":
    (inbox / name).mkdir()
Path("/proc/sys/user/max_inotify_watches").write_text("3")
with Run(inbox) as run:
    run.attached()
    before = run.source.mode
    for name in "abcdef":
        (inbox / name / "anna.jpg").write_bytes(jpeg())
    found = sorted(run.paths(6))
    Path("/proc/sys/user/max_inotify_watches").write_text("1000")
    run.source.rescan()
    until(lambda: run.source.mode == "events")
    (inbox / "f" / "bert.jpg").write_bytes(jpeg())
    print(json.dumps([before, found, run.next().path]))
"""
    found = [f"{name}/anna.jpg" for name in "abcdef"]
    assert alone(FOLDERS + code, tmp_path) == ["polling", found, "f/bert.jpg"]


def test_an_inbox_that_is_unmounted_and_mounted_again_is_heard_again(tmp_path):
    code = """
mount("tmpfs", inbox)
with Run(inbox) as run:
    run.attached()
    (inbox / "anna.jpg").write_bytes(jpeg())
    first = run.next()
    umount(inbox)
    run.source.ack(first)
    run.source.rescan()
    mount("tmpfs", inbox)
    run.source.rescan()
    (inbox / "bert.jpg").write_bytes(jpeg())
    print(json.dumps([first.path, run.next().path, run.source.mode, run.counts["rescan_found"]]))
"""
    assert alone(FOLDERS + code, tmp_path) == ["anna.jpg", "bert.jpg", "events", 0]


def test_a_read_only_inbox_is_an_inbox(tmp_path):
    code = """
(inbox / "anna.jpg").write_bytes(jpeg())
subprocess.run(["mount", "--bind", inbox, inbox], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", inbox], check=True)
with Run(inbox) as run:
    event = run.next()
    run.source.ack(event)
    print(json.dumps([event.path, run.attached().source.mode]))
"""
    assert alone(FOLDERS + code, tmp_path) == ["anna.jpg", "events"]


def test_a_mount_that_others_change_unheard_is_told_and_scanned_more_often(tmp_path):
    code = """
fake = here / "mountinfo"
fake.write_text(f"1 1 0:1 / {inbox} rw - nfs4 nas:/photos rw\\n")
subprocess.run(["mount", "--bind", fake, f"/proc/{os.getpid()}/mountinfo"], check=True)
with Run(inbox) as run:
    mode = run.attached().source.mode
    (inbox / "anna.jpg").write_bytes(jpeg())  # what this machine does is heard all the same
    heard = run.next().path, run.counts["rescan_found"]
    until(lambda: len(run.reports.asked) > 1)  # scanned again within 5 s, though `rescan_seconds` is an hour
    print(json.dumps([mode, *heard]))
"""
    assert alone(FOLDERS + code, tmp_path) == ["polling", "anna.jpg", 0]


def test_a_mount_that_never_tells_of_anything_is_found_out(tmp_path):
    code = """
behind, empty = here / "behind", here / "empty"
behind.mkdir(), empty.mkdir()
mount("overlay", inbox, f"lowerdir={behind}:{empty}")
with Run(inbox, rescan_seconds=0.2) as run:
    before = run.attached().source.mode
    (behind / "anna.jpg").write_bytes(jpeg())
    print(json.dumps([before, run.next().path, run.source.mode]))
"""
    assert alone(FOLDERS + code, tmp_path) == ["events", "anna.jpg", "polling"]
