# Where services keep state that neither a unit nor an option of a folder says: those whose units come
# with their package, or whose preparation makes it. An option, and the paths when it is true.
{
  "boot.lanzaboote.enable" = [ "/var/lib/sbctl" ];
  "hardware.bluetooth.enable" = [ "/var/lib/bluetooth" ];
  "networking.networkmanager.enable" = [ "/etc/NetworkManager/system-connections" ];
  "security.krb5.enable" = [ "/etc/krb5.keytab" ];
  "services.accounts-daemon.enable" = [ "/var/lib/AccountsService" ];
  "services.fprintd.enable" = [ "/var/lib/fprint" ];
  "services.hydra.enable" = [ "/var/lib/hydra" ];
  "services.iwd.enable" = [ "/var/lib/iwd" ];
  "networking.wireless.iwd.enable" = [ "/var/lib/iwd" ];
  "services.postfix.enable" = [ "/var/lib/postfix/queue" ];
  "services.printing.enable" = [ "/var/lib/cups" ];
  "services.samba.enable" = [ "/var/lib/samba" ];
  "services.tailscale.enable" = [ "/var/lib/tailscale" ];
  "services.zerotierone.enable" = [ "/var/lib/zerotier-one" ];
  "virtualisation.incus.enable" = [ "/var/lib/incus" ];
  "virtualisation.libvirtd.enable" = [ "/var/lib/libvirt" ];
  "virtualisation.lxd.enable" = [ "/var/lib/lxd" ];
  "virtualisation.waydroid.enable" = [ "/var/lib/waydroid" ];
}
