"""Which addresses only this machine can reach. Pure."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Of names only `localhost` is the machine itself everywhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
