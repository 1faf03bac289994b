"""Who may import whom: the golden model and the gateware never meet, and nothing imports upward."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {"spikeloom": ROOT / "host", "spikeloom_hdl": ROOT / "hdl", "spikeloom_sim": ROOT / "sim"}

# A module (or all below it) and the modules of ours that it may import. The longest name that fits decides; what is
# not listed, such as the command line and the facade, may see everything.
FLOORS = {
    "spikeloom.contract": ["spikeloom.contract"],
    "spikeloom.image": ["spikeloom.contract"],
    "spikeloom.compiler": ["spikeloom.contract", "spikeloom.compiler", "spikeloom.image"],
    "spikeloom.driver": ["spikeloom.contract", "spikeloom.driver", "spikeloom.image"],
    "spikeloom.reference": ["spikeloom.contract", "spikeloom.compiler"],
    "spikeloom_hdl": ["spikeloom.contract", "spikeloom_hdl"],
    "spikeloom_sim.golden": ["spikeloom.contract", "spikeloom_sim.golden"],
    "spikeloom_sim.native": ["spikeloom.contract", "spikeloom_hdl", "spikeloom_sim"],
}


def below(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def imports(path: Path, module: str) -> set[str]:
    """Modules of ours that a file names, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in PACKAGES}


def violations(roots: dict[str, Path] = PACKAGES) -> list[str]:
    wrong = []
    for package, root in roots.items():
        for path in sorted((root / package).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            floor = max((f for f in FLOORS if below(module, f)), key=len, default=None)
            if floor:
                wrong += [
                    f"{module} imports {name}"
                    for name in sorted(imports(path, module))
                    if not any(below(name, allowed) for allowed in FLOORS[floor])
                ]
    return wrong


def test_nothing_imports_upward() -> None:
    assert violations() == []


def test_every_floor_exists() -> None:
    for floor in FLOORS:
        path = PACKAGES[floor.split(".")[0]].joinpath(*floor.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), floor


def test_a_planted_import_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "spikeloom_sim" / "golden"
    folder.mkdir(parents=True)
    (folder / "step.py").write_text("def f():\n    from spikeloom_hdl import core\n    from ..native import build\n")
    assert violations({"spikeloom_sim": tmp_path}) == [
        "spikeloom_sim.golden.step imports spikeloom_hdl.core",
        "spikeloom_sim.golden.step imports spikeloom_sim.native.build",
    ]
