#!/usr/bin/env python3
"""The .meta files of the package: makes those that are missing and checks all.

    metas.py --write        makes what is missing; what is there stays, as GUIDs must never change
    metas.py --check        every file that Unity imports has one, no GUID is used twice, nothing refers to an unknown one
    metas.py --plugin FILE  writes the import settings of a native plugin in Plugins/

A new GUID follows from the file's path, so two people who add the same file get the same one. Unity does not see what begins with a dot or ends
with a tilde; what is in Samples~ is copied into projects with its metas, so that it has some, too.
"""
import hashlib
import json
import pathlib
import re
import sys

PACKAGE = pathlib.Path(__file__).resolve().parent.parent
TAIL = "  userData: \n  assetBundleName: \n  assetBundleVariant: \n"
IMPORTERS = {
    ".cs": "MonoImporter:\n  externalObjects: {}\n  serializedVersion: 2\n  defaultReferences: []\n  executionOrder: 0\n"
           "  icon: {instanceID: 0}\n",
    ".asmdef": "AssemblyDefinitionImporter:\n  externalObjects: {}\n",
    ".md": "TextScriptImporter:\n  externalObjects: {}\n",
}
DEFAULT = "DefaultImporter:\n  externalObjects: {}\n"
MANIFEST = "PackageManifestImporter:\n  externalObjects: {}\n"

# Where a plugin belongs, by its folder: the platform's name in a .meta, its settings, and the editor that can load it.
PLUGINS = {
    "Linux/x86_64": ("Standalone: Linux64", {"CPU": "x86_64"}, {"CPU": "x86_64", "OS": "Linux"}),
    "Linux/arm64": ("Standalone: Linux64", {"CPU": "ARM64"}, None),
    "Windows/x86_64": ("Standalone: Win64", {"CPU": "x86_64"}, {"CPU": "x86_64", "OS": "Windows"}),
    "macOS": ("Standalone: OSXUniversal", {"CPU": "AnyCPU"}, {"CPU": "AnyCPU", "OS": "OSX"}),
    "iOS": ("iPhone: iOS", {"AddToEmbeddedBinaries": "false"}, None),
    "Android/arm64-v8a": ("Android: Android", {"CPU": "ARM64"}, None),
    "Android/armeabi-v7a": ("Android: Android", {"CPU": "ARMv7"}, None),
    "Android/x86_64": ("Android: Android", {"CPU": "X86_64"}, None),
}
EXCLUDED = ["Android", "Editor", "Linux64", "OSXUniversal", "WebGL", "Win", "Win64", "iOS"]


def guid_of(path):
    return hashlib.md5(("com.unbroken.session/" + path.relative_to(PACKAGE).as_posix()).encode()).hexdigest()


def head(path):
    return f"fileFormatVersion: 2\nguid: {guid_of(path)}\n"


def meta_of(path):
    return path.with_name(path.name + ".meta")


def imported(folder=PACKAGE):
    """Everything in the package that gets a .meta."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith(".meta") or (folder == PACKAGE and path.name == "Plugins"):
            continue
        if path.name == "Samples~":
            yield from imported(path)
        elif not path.name.endswith("~"):
            yield path
            if path.is_dir():
                yield from imported(path)


def text_of(path):
    if path.is_dir():
        return head(path) + "folderAsset: yes\n" + DEFAULT + TAIL
    return head(path) + (MANIFEST if path.name == "package.json" else IMPORTERS.get(path.suffix, DEFAULT)) + TAIL


def block(first, enabled, settings):
    lines = [f"  - first:\n      {first}\n    second:\n      enabled: {int(enabled)}\n"]
    lines.append("      settings: {}\n" if not settings else "      settings:\n")
    lines += [f"        {key}: {value}\n" for key, value in settings.items()]
    return "".join(lines)


def plugin(path):
    folder = path.parent.relative_to(PACKAGE / "Plugins").as_posix()
    platform, settings, editor = PLUGINS[folder]
    mine = platform.split(": ")[1]
    excluded = {f"Exclude {name}": int(not (name == mine or (name == "Editor" and editor))) for name in EXCLUDED}
    text = head(path) + "PluginImporter:\n  externalObjects: {}\n  serializedVersion: 2\n  iconMap: {}\n  executionOrder: {}\n"
    text += "  defineConstraints: []\n  isPreloaded: 0\n  isOverridable: 0\n  isExplicitlyReferenced: 0\n  validateReferences: 1\n  platformData:\n"
    text += block(": Any", False, excluded) + block("Any: ", False, {})
    text += block("Editor: Editor", editor is not None, dict(editor or {}, DefaultValueInitialized="true"))
    text += block(platform, True, settings)
    meta_of(path).write_text(text + TAIL)
    folders = [parent for parent in path.parents if PACKAGE in parent.parents]
    for parent in folders:
        meta_of(parent).write_text(text_of(parent))


def check():
    guids, wrong = {}, []
    for path in imported():
        meta = meta_of(path)
        if not meta.exists():
            wrong.append(f"{path}: has no .meta; run {pathlib.Path(__file__).name} --write")
            continue
        found = re.search(r"^guid: ([0-9a-f]{32})$", meta.read_text(), re.M)
        if not found:
            wrong.append(f"{meta}: has no GUID")
        elif found[1] in guids:
            wrong.append(f"{meta}: has the GUID of {guids[found[1]]}")
        else:
            guids[found[1]] = path
    known = {meta_of(path) for path in imported()}
    built = PACKAGE / "Plugins"
    for meta in PACKAGE.rglob("*.meta"):
        if meta not in known and built not in meta.parents and meta != meta_of(built):
            wrong.append(f"{meta}: belongs to nothing")
    wrong += manifest() + references(guids)
    for one in wrong:
        print(one)
    print(f"{len(guids)} passed, {len(wrong)} failed")
    return 1 if wrong or not guids else 0


def manifest():
    """What package.json and the assembly definitions name is there."""
    wrong = []
    package = json.loads((PACKAGE / "package.json").read_text())
    workspace = re.search(r'^\[workspace\.package\]\nversion = "(.*)"', (PACKAGE / "../../Cargo.toml").read_text(), re.M)[1]
    if package["version"] != workspace:
        wrong.append(f"package.json: version {package['version']}, and the workspace has {workspace}")
    wrong += [f"package.json: there is no {one['path']}" for one in package["samples"] if not (PACKAGE / one["path"]).is_dir()]
    assemblies = {path: json.loads(path.read_text()) for path in PACKAGE.rglob("*.asmdef")}
    names = {one["name"] for one in assemblies.values()} | {"UnityEngine.TestRunner"}
    for path, one in assemblies.items():
        if path.stem != one["name"]:
            wrong.append(f"{path}: names {one['name']}")
        wrong += [f"{path}: refers to {to}, which is not here" for to in one["references"] if to not in names]
        text = "".join(source.read_text() for source in path.parent.rglob("*.cs"))
        if one.get("noEngineReferences") and re.search(r"\bUnity(Engine|Editor)\b[.;]", re.sub(r"//.*", "", text)):
            wrong.append(f"{path}: is to be free of the engine and uses it")
    return wrong


def references(guids):
    """The scenes refer to scripts that exist."""
    wrong = []
    for scene in PACKAGE.rglob("*.unity"):
        used = re.findall(r"m_Script: \{fileID: 11500000, guid: ([0-9a-f]{32}), type: 3\}", scene.read_text())
        if not used:
            wrong.append(f"{scene}: has no script")
        wrong += [f"{scene}: refers to the unknown {one}" for one in used if one not in guids]
    return wrong


def main(arguments):
    if arguments[:1] == ["--write"]:
        for path in imported():
            if not meta_of(path).exists():
                meta_of(path).write_text(text_of(path))
        return 0
    if arguments[:1] == ["--plugin"] and len(arguments) == 2:
        plugin(pathlib.Path(arguments[1]).resolve())
        return 0
    if arguments == ["--check"]:
        return check()
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
