#!/usr/bin/env bash
# An environment with llama.cpp (llama-cpp-python, compiled for this processor), apart from the program's own: compiling takes
# minutes, so only the checks of GGUF files and the comparison of speeds ask for it. Idempotent.
#   bench/llama_env.sh [FOLDER]        default: ~/.cache/flavor-tui/llama-cpp, or $FLAVOR_TUI_LLAMA
# Needs a C++ compiler and PYTHON (default python3, 3.11 or newer). CMAKE_BUILD_PARALLEL_LEVEL says how many cores to take.
set -euo pipefail

VERSION=0.3.36
FOLDER=${1:-${FLAVOR_TUI_LLAMA:-${FLAVOR_TUI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/flavor-tui}/llama-cpp}}
works() { "$FOLDER/bin/python" -c "import llama_cpp; raise SystemExit(llama_cpp.__version__ != '$VERSION')" 2>/dev/null; }

if ! works; then
    command -v "${CXX:-c++}" >/dev/null || { echo "A C++ compiler is needed, for instance: apt-get install g++" >&2; exit 1; }
    "${PYTHON:-python3}" -m venv "$FOLDER"
    # pip brings cmake and ninja into the build's own environment where the system has none
    CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-2} \
    CMAKE_ARGS="-DGGML_NATIVE=ON -DMTMD_BUILD=OFF -DLLAVA_BUILD=OFF ${CMAKE_ARGS:-}" \
        "$FOLDER/bin/pip" install --quiet --disable-pip-version-check --no-binary llama-cpp-python "llama-cpp-python==$VERSION"
    works
fi
echo "$FOLDER/bin/python"
