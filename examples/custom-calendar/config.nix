{
  networking.hostName = "studio";

  hwc.system.services.backup = {
    enable = true;
    local = {
      enable = true;
      fileSystemUUID = "0a3407de-014b-458b-b5c1-848e92a327a3"; # this disk and no other
      weekStartsOn = "monday";
    };
    schedule = {
      enable = true;
      frequency = "Mon,Wed,Fri"; # or "weekly", or "*-*-1/2" for every other day of a month
      timeOfDay = "12:30";
      randomDelay = "10m";
    };
    monitoring = {
      healthCheckInterval = "Sun 10:00";
      maxAge = "4d";
    };
  };

  fileSystems."/mnt/backup" = {
    device = "/dev/disk/by-uuid/0a3407de-014b-458b-b5c1-848e92a327a3";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}
