"""Downloads as people have them."""

import io
import zipfile

from layout_makers import picture


def png(seed=1):
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return file.getvalue()


def zipped(path, folder, prefix=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def left_over(root):
    return [path.name for path in root.iterdir() if path.name.startswith(".")] if root.is_dir() else []
