"""What a build made, or found already made."""

from __future__ import annotations

from dataclasses import dataclass

from builder.core.budgets import Budgets
from builder.platforms.android.build import AarResult
from builder.platforms.apple.build import AppleResult
from builder.platforms.results import RuntimeResult
from builder.size.budget_check import refuse_excess


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """Everything that `build` made."""

    runtimes: tuple[RuntimeResult, ...]
    """One for each target, in the order given."""
    aar: AarResult | None = None
    """The AAR; None when no target is for Android."""
    apple: AppleResult | None = None
    """The xcframework; None when no target is for Apple's systems."""

    def hold(self, budgets: Budgets) -> None:
        """Compares the bytes that the libraries add to apps with `budgets`.

        Raises:
            VerificationError: a library is larger than its budget; what was built is kept.
        """
        for runtime in self.runtimes:
            abi = runtime.plan.target.abi
            # The library in an AAR has other entry points than the one in the folder, and it is
            # what an app gets.
            size = self.aar.sizes[abi] if self.aar and abi in self.aar.sizes else runtime.size
            refuse_excess(size, budgets, abi=abi, root=runtime.package.root)
