"""Groups of latents integrated out in closed form, and drawn afterwards."""
