"""What only a simulator can do: the control under `/_sim`."""
