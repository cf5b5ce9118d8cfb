/**
 * Runs PyTorch models that were saved for the lite interpreter.
 *
 * <p>{@link org.pytorch.LiteModuleLoader} opens a model, {@link org.pytorch.Module} runs it, {@link
 * org.pytorch.IValue} carries arguments and results, and {@link org.pytorch.Tensor} holds numbers.
 * The classes have the names and members of the {@code org.pytorch:pytorch_android_lite} artifact,
 * so that apps written for it need no change. They rest on one native library, {@code
 * libpytorch_jni_lite.so}, and on nothing else.
 */
package org.pytorch;
