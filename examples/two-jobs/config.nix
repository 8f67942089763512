{
  networking.hostName = "studio";

  hwc.system.services.backup = {
    enable = true;

    # The machine, each night.
    local = {
      enable = true;
      mountPoint = "/mnt/backup";
      sources = [
        "/home"
        "/etc/nixos"
      ];
      excludePatterns = [
        ".cache"
        "*.iso"
      ];
    };

    # The photos, on Saturdays, to a drive of their own.
    destinations.photos = {
      type = "disk";
      mountPoint = "/mnt/photos";
      sources = [ "/srv/photos" ];
      excludePatterns = [ ];
      keepDaily = 0;
      keepWeekly = 8;
      keepMonthly = 12;
      keepYearly = 20;
      schedule = {
        frequency = "Sat";
        timeOfDay = "18:00";
      };
    };

    schedule.enable = true;
  };

  fileSystems."/mnt/backup" = {
    device = "/dev/disk/by-label/backup";
    fsType = "ext4";
    options = [ "nofail" ];
  };

  fileSystems."/mnt/photos" = {
    device = "/dev/disk/by-label/photos";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}
