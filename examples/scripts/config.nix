{ pkgs, ... }:

{
  networking.hostName = "atlas";

  hwc.system.services.backup = {
    enable = true;
    extraTools = [ pkgs.sqlite ];

    # Lines of bash; '' … '' with the text in place is as good.
    preBackupScript = builtins.readFile ./pre-backup;
    postBackupScript = builtins.readFile ./post-backup;
    preBackupTimeout = "10m";

    local = {
      enable = true;
      sources = [
        "/home"
        "/etc/nixos"
        "/var/backup"
      ];
    };
    schedule.enable = true;
  };

  fileSystems."/mnt/backup" = {
    device = "/dev/disk/by-label/backup";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}
