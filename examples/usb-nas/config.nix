{
  networking.hostName = "desk";

  hwc.system.services.backup = {
    enable = true;

    # What both back up.
    local.sources = [
      "/home"
      "/etc/nixos"
    ];

    destinations = {
      nas = {
        type = "disk";
        mountPoint = "/mnt/nas";
        keepHourly = 24;
        keepDaily = 30;
        keepMonthly = 12;
      };
      usb = {
        type = "disk";
        mountPoint = "/mnt/usb";
        ifAbsent = "defer"; # it lies in a drawer
        keepDaily = 7;
        keepMonthly = 24;
        keepYearly = 5;
        schedule.frequency = "weekly";
      };
    };

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
