{
  networking.hostName = "leaf";

  hwc.system.services.backup = {
    enable = true;
    local = {
      enable = true;
      sources = [ "/persist" ];
      excludePatterns = [
        ".cache"
        "*.tmp"
        ".local/share/Trash"
        "node_modules"
        "__pycache__"
        "coredump"
      ];
      ifAbsent = "defer";
    };
    schedule.enable = true;
  };

  # `/` is a tmpfs, as hardware-configuration.nix has it.
  fileSystems."/persist" = {
    device = "/dev/disk/by-uuid/7d4c1e0a-52a3-4a0e-9f0c-3f3f5ad2b1c6";
    fsType = "btrfs";
    options = [ "subvol=persist" ];
    neededForBoot = true;
  };

  # With the module `impermanence`: environment.persistence."/persist".directories = [ "/var/lib/backup" ];
  fileSystems."/var/lib/backup" = {
    device = "/persist/var/lib/backup";
    fsType = "none";
    options = [ "bind" ];
  };

  fileSystems."/mnt/backup" = {
    device = "/dev/disk/by-uuid/0a3407de-014b-458b-b5c1-848e92a327a3";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}
