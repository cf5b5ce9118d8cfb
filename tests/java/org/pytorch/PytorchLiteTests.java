package org.pytorch;

import java.io.IOException;
import java.nio.file.Paths;

/** Upstream's tests, with models from the folder that the property `models` names. */
public class PytorchLiteTests extends PytorchTestBase {
  @Override
  protected Module loadModel(String assetName) throws IOException {
    return LiteModuleLoader.load(Paths.get(System.getProperty("models"), assetName).toString());
  }
}
