#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the presets into a C file: embed-presets.py OUTPUT PRESET.yaml..."""
import pathlib
import sys

output, presets = pathlib.Path(sys.argv[1]), sorted(map(pathlib.Path, sys.argv[2:]))
lines = ['/* SPDX-License-Identifier: Apache-2.0 */',
         '/* Made by tools/embed-presets.py from mountcfg/presets/. */',
         '#include "mountcfg/language.h"', '']
for i, preset in enumerate(presets):
    data = list(preset.read_bytes()) + [0]
    lines.append(f'static const unsigned char text_{i}[] = {{')
    lines += ['    ' + ', '.join(map(str, data[k:k + 20])) + ',' for k in range(0, len(data), 20)]
    lines += ['};', '']
lines.append('const struct cfg_preset cfg_presets[] = {')
lines += [f'    {{"{p.stem}", (const char *)text_{i}, sizeof text_{i} - 1}},' for i, p in enumerate(presets)]
lines += ['};', f'const size_t cfg_n_presets = {len(presets)};', '']
output.write_text('\n'.join(lines))
