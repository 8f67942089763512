{
  networking.hostName = "desk";

  hwc.system.services.backup = {
    enable = true;

    # What all of them back up.
    local.sources = [
      "/home"
      "/etc/nixos"
    ];

    destinations = {
      nas = {
        type = "disk";
        mountPoint = "/mnt/nas";
        keepDaily = 30;
        keepMonthly = 12;
      };
      usb = {
        type = "disk";
        mountPoint = "/mnt/usb";
        ifAbsent = "defer"; # it lies in a drawer
        keepMonthly = 24;
        schedule.frequency = "weekly";
      };
      b2 = {
        type = "remote";
        remote = "b2:desk-backups";
        configFile = "/etc/rclone-b2.conf";
        keepDaily = 14;
        keepMonthly = 12;
        keepYearly = 3;
      };
    };

    # A gap is an error of the evaluation.
    policy = "3-2-1";

    schedule = {
      enable = true;
      frequency = "daily";
      timeOfDay = "12:30";
    };
  };

  fileSystems."/mnt/nas" = {
    device = "nas:/export/backup";
    fsType = "nfs4";
    options = [
      "nofail"
      "soft"
    ];
  };

  fileSystems."/mnt/usb" = {
    device = "/dev/disk/by-uuid/0a3407de-014b-458b-b5c1-848e92a327a3";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}
