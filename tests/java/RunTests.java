import java.util.Arrays;
import java.util.List;
import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.Request;
import org.junit.runner.manipulation.Filter;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

/**
 * Runs the JUnit tests of a class but for those that are named, and prints one line of each: `pass`,
 * `ignored` or `FAIL`, and its name.
 */
public final class RunTests {
  public static void main(String[] arguments) throws Exception {
    List<String> leftOut = Arrays.asList(arguments).subList(1, arguments.length);
    JUnitCore core = new JUnitCore();
    core.addListener(new Printer());
    Request request = Request.aClass(Class.forName(arguments[0])).filterWith(new AllBut(leftOut));
    System.exit(core.run(request).wasSuccessful() ? 0 : 1);
  }

  private static final class AllBut extends Filter {
    private final List<String> leftOut;

    AllBut(List<String> leftOut) {
      this.leftOut = leftOut;
    }

    @Override
    public boolean shouldRun(Description description) {
      return !leftOut.contains(description.getMethodName());
    }

    @Override
    public String describe() {
      return "all but " + leftOut;
    }
  }

  private static final class Printer extends RunListener {
    private boolean failed;

    @Override
    public void testStarted(Description description) {
      failed = false;
    }

    @Override
    public void testFailure(Failure failure) {
      failed = true;
      System.out.println("FAIL " + failure.getDescription().getMethodName());
      System.out.println(failure.getTrace());
    }

    @Override
    public void testIgnored(Description description) {
      System.out.println("ignored " + description.getMethodName());
    }

    @Override
    public void testFinished(Description description) {
      if (!failed) {
        System.out.println("pass " + description.getMethodName());
      }
    }
  }
}
