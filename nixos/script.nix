# Lines of bash as an executable, or null for null. A pipe whose first half fails is a failure, and a
# half-written dump is not backed up as if it were whole.
{
  lib,
  pkgs,
  extraTools,
}:

name: lines:
if lines == null then
  null
else
  "${pkgs.writeShellScript name ''
    set -euo pipefail
    ${lib.optionalString (extraTools != [ ]) ''
      export PATH=${lib.makeBinPath extraTools}''${PATH:+:$PATH}
    ''}
    ${lines}
  ''}"
