/** Turns pictures into tensors as torchvision's models want them. */
package org.pytorch.torchvision;
