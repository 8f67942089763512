# The path of the rclone configuration: `cloud.configFile`, else the agenix secret that
# `protonDrive.secretName` names, else null. Never its content. Plain `builtins`.
{ config }:

let
  cfg = config.hwc.system.services.backup;
  secret = config.age.secrets.${cfg.protonDrive.secretName}.path or null;
in
if cfg.cloud.configFile != null then
  cfg.cloud.configFile
else if cfg.protonDrive.enable then
  secret
else
  null
