# `timerConfig` in two parts: what the schedule has words of its own for, and the rest, which is systemd's
# alone. Plain `builtins`.
{ timerConfig }:

let
  # Of a list there may be one, which an assertion sees to.
  single = value: if builtins.isList value then builtins.head value else value;

  # systemd's words for a boolean (systemd.syntax(7)).
  isTrue =
    value:
    if builtins.isBool value then
      value
    else
      builtins.elem value [
        1
        "1"
        "yes"
        "y"
        "true"
        "t"
        "on"
      ];

  given =
    key: make:
    if timerConfig ? ${key} && timerConfig.${key} != [ ] then make timerConfig.${key} else null;
in
{
  # Null where it says nothing of it.
  schedule = {
    frequency = given "OnCalendar" single;
    randomDelay = given "RandomizedDelaySec" (value: toString (single value));
    persistent = given "Persistent" isTrue;
  };

  rest = builtins.removeAttrs timerConfig [
    "OnCalendar"
    "RandomizedDelaySec"
    "Persistent"
  ];
}
