{
  hwc.system.services.backup = {
    enable = true;
    local.enable = true;
    schedule.enable = true;
  };

  fileSystems."/mnt/backup" = {
    device = "/dev/disk/by-label/backup";
    fsType = "ext4";
    options = [ "nofail" ]; # the machine boots without the disk
  };
}
