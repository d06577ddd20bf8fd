import pytest

pytest.register_assert_rewrite("tests.tapes.contract_reading", "tests.tapes.contract_keeping")
