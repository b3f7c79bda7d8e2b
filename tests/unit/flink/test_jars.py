import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from strandline.errors import EnvironmentUnfit
from strandline_flink.jars import cache, compiled, compiling, fetching, paths
from strandline_flink.jars.fetching import GROUPS, Jar, locked
from strandline_flink.processes.java_home import java

GREETING = """\
package strandline.probe;
public class Greeting {
    public static void main(String[] arguments) { System.out.print("hello from " + arguments[0]); }
}
"""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Java sources of the test's own instead of Strandline's, compiled into a cache of its own."""
    root = tmp_path / "java"
    root.mkdir()
    shared_jars = cache.cache_dir("jars")
    monkeypatch.setenv("STRANDLINE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "jars").symlink_to(shared_jars)
    monkeypatch.setattr(compiling, "source_root", lambda: root)
    return root


def test_every_locked_jar_is_there_and_is_the_locked_one() -> None:
    for group in GROUPS:
        files = paths(group)
        assert [file.name for file in files] == [jar.name for jar in locked(group)]
        for file, jar in zip(files, locked(group), strict=True):
            assert hashlib.sha256(file.read_bytes()).hexdigest() == jar.sha256


def test_no_jar_is_locked_twice_in_two_versions() -> None:
    for group in GROUPS:
        artifacts = [jar.coordinate.rsplit(":", 1)[0] for jar in locked(group)]
        assert len(artifacts) == len(set(artifacts))


def test_an_altered_jar_in_the_cache_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (original,) = paths("compiler")
    monkeypatch.setenv("STRANDLINE_CACHE", str(tmp_path))
    altered = cache.cache_dir("jars") / original.name
    content = bytearray(original.read_bytes())
    content[len(content) // 2] ^= 1
    altered.write_bytes(content)
    with pytest.raises(EnvironmentUnfit, match=r"ecj-3\.40\.0\.jar.* expected .*Delete it") as said:
        paths("compiler")
    assert locked("compiler")[0].sha256 in str(said.value)


def test_a_download_that_is_not_the_locked_jar_never_appears_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (original,) = paths("compiler")
    wanted = Jar(locked("compiler")[0].coordinate, "0" * 64)
    monkeypatch.setattr(fetching, "download", lambda _context, _jar: original)
    with pytest.raises(EnvironmentUnfit, match="expected 0000"):
        fetching.fetch([wanted], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_fails_twice_is_tried_again(tmp_path: Path) -> None:
    class Artifact:
        cached_path = tmp_path / "partial.jar"
        failures = 2

        def resolve(self) -> Path:
            if self.failures:
                self.failures -= 1
                self.cached_path.write_bytes(b"half")
                raise ConnectionError("reset")
            assert not self.cached_path.exists()
            return self.cached_path

    class Context:
        artifact = Artifact()

        def create_dependency(self, _coordinate: str) -> "Context":
            return self

    jar = Jar("a:b:1", "")
    assert fetching.download(Context(), jar) == tmp_path / "partial.jar"
    Context.artifact.failures = fetching.ATTEMPTS
    with pytest.raises(EnvironmentUnfit, match=r"a:b:1 could not be fetched in 3 .*Check the net"):
        fetching.download(Context(), jar)


def test_a_cache_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STRANDLINE_CACHE", str(tmp_path / "file"))
    with pytest.raises(EnvironmentUnfit, match="set STRANDLINE_CACHE to a folder"):
        cache.cache_dir("jars")


def test_the_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STRANDLINE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache.cache_dir("jars") == tmp_path / "home" / ".cache" / "strandline" / "jars"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_dir("jars") == tmp_path / "xdg" / "strandline" / "jars"
    monkeypatch.setenv("STRANDLINE_CACHE", str(tmp_path / "own"))
    assert cache.cache_dir("jars") == tmp_path / "own" / "jars"


@pytest.mark.parametrize("home", [None, "/", "~", "/no/such/home"])
def test_without_a_home_the_cache_is_in_a_temporary_folder_of_this_user_alone(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "STRANDLINE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    private = tmp_path / f"strandline-home-{os.getuid()}"
    assert cache.cache_dir("jars") == private / ".cache" / "strandline" / "jars"
    assert private.stat().st_mode & 0o777 == 0o700


def test_compiled_classes_run(sources: Path) -> None:
    (sources / "Greeting.java").write_text(GREETING)
    command: list[str | Path] = [java(), "-cp", compiled(), "strandline.probe.Greeting", "ecj"]
    assert subprocess.check_output(command, text=True) == "hello from ecj"


def test_the_same_sources_are_compiled_once_and_others_again(sources: Path) -> None:
    (sources / "Greeting.java").write_text(GREETING)
    first = compiled()
    made_ns = first.stat().st_mtime_ns
    assert compiled() == first
    assert first.stat().st_mtime_ns == made_ns
    (sources / "Greeting.java").write_text(GREETING.replace("hello", "good day"))
    assert compiled() != first


def test_no_sources_give_a_jar_without_classes(sources: Path) -> None:
    with zipfile.ZipFile(compiled()) as jar:
        assert jar.namelist() == ["META-INF/MANIFEST.MF", compiling.SERVICE]
    assert not list(sources.iterdir())


def test_a_compile_error_names_file_line_and_fault(sources: Path) -> None:
    (sources / "Wrong.java").write_text("class Wrong {\n    int size = 1L;\n}\n")
    with pytest.raises(EnvironmentUnfit) as said:
        compiled()
    assert "Wrong.java (at line 2)" in str(said.value)
    assert "cannot convert from long to int" in str(said.value)
    assert not list(cache.cache_dir("classes").iterdir())


def test_a_leaked_resource_does_not_compile(sources: Path) -> None:
    (sources / "Leak.java").write_text(
        "class Leak {\n"
        "    int first(String name) throws java.io.IOException {\n"
        "        var file = new java.io.FileInputStream(name);\n"
        "        return file.read();\n"
        "    }\n"
        "}\n"
    )
    with pytest.raises(EnvironmentUnfit, match="Resource leak"):
        compiled()


def test_two_processes_that_compile_at_once_agree(sources: Path) -> None:
    (sources / "Greeting.java").write_text(GREETING)
    script = (
        "import pathlib, sys; from strandline_flink.jars import compiling;"
        "compiling.source_root = lambda: pathlib.Path(sys.argv[1]);"
        "print(compiling.compiled())"
    )
    command = [sys.executable, "-c", script, str(sources)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate(timeout=60)[0].strip() for process in both)
    assert first == second
    with zipfile.ZipFile(first) as jar:
        assert jar.testzip() is None
    assert list(cache.cache_dir("classes").iterdir()) == [Path(first)]
