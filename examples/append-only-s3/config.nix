{
  networking.hostName = "ledger";

  hwc.system.services.backup = {
    enable = true;

    local = {
      enable = true;
      sources = [
        "/home"
        "/srv"
      ];
    };

    destinations.vault = {
      type = "remote";
      remote = "vault:ledger-backups";
      configFile = "/etc/rclone-vault.conf";
      expire = "never";
    };

    policy = "3-2-1-1-0";
    schedule.enable = true;
    monitoring.drill.enable = true;
  };

  fileSystems."/mnt/backup" = {
    device = "/dev/disk/by-uuid/0a3407de-014b-458b-b5c1-848e92a327a3";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}
