"""What a build made, or found already made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.api.measuring import read_references
from builder.core.budgets import Budgets
from builder.errors import ConfigurationError, Hint
from builder.platforms.android.build import AarResult
from builder.platforms.apple.build import AppleResult
from builder.platforms.results import RuntimeResult
from builder.size.budget_check import find_excesses, refuse_excess
from builder.size.savings import list_savings, share_of_models


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """Everything that `build` made."""

    runtimes: tuple[RuntimeResult, ...]
    """One for each target, in the order given."""
    aar: AarResult | None = None
    """The AAR; None when no target is for Android."""
    apple: AppleResult | None = None
    """The xcframework; None when no target is for Apple's systems."""
    seconds: float = 0.0
    """The time of the whole build: planning, fetching, configuring and packaging too."""

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
            is_too_large = bool(find_excesses(size.file, size.compressed, budgets, abi=abi))
            refuse_excess(
                size,
                budgets,
                abi=abi,
                root=runtime.package.root,
                # They are read from large files, and needed for an error only.
                savings=_list_savings(runtime) if is_too_large else (),
            )


def _list_savings(runtime: RuntimeResult) -> Sequence[Hint]:
    try:
        graph = read_references(runtime.package.root)
    except ConfigurationError:
        # The budget is exceeded all the same, and that is the error to be told.
        return list_savings(runtime.plan, {})
    return list_savings(runtime.plan, share_of_models(runtime.size, graph))
