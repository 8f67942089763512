{
  networking.hostName = "laptop";

  hwc.system.services.backup = {
    enable = true;
    local = {
      enable = true;
      mountPoint = "/mnt/backup";
      keepDaily = 7;
      keepWeekly = 4;
      keepMonthly = 3;
      ifAbsent = "defer"; # on the road the drive is at home
    };
    schedule = {
      enable = true;
      frequency = "daily";
      timeOfDay = "02:00";
      onlyOnAC = true;
    };
    notifications.enable = true; # of failures, on the desktop
  };

  services.xserver.enable = true;

  fileSystems."/mnt/backup" = {
    device = "/dev/disk/by-uuid/0a3407de-014b-458b-b5c1-848e92a327a3";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}
