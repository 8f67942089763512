# Whether the system's configuration knows of a graphical session, where a desktop notification could be
# seen. Options of newer and older NixOS; what another system has not is not there.
{ config, lib }:

let
  isOn = path: lib.attrByPath (path ++ [ "enable" ]) false config == true;
in
lib.any isOn [
  [
    "services"
    "graphical-desktop"
  ]
  [
    "services"
    "displayManager"
  ]
  [
    "services"
    "xserver"
  ]
  [
    "services"
    "greetd"
  ]
  [
    "programs"
    "sway"
  ]
  [
    "programs"
    "hyprland"
  ]
  [
    "programs"
    "niri"
  ]
]
# Older systems have another name for it, which newer ones warn of.
|| config.hardware.graphics.enable or config.hardware.opengl.enable or false
