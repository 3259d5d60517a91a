"""manage.py import_rule606 FILE.xml: a broker's public report on where it sends orders."""

from comparison.execution_imports import Imported, import_routing
from comparison.management.report_command import ReportCommand
from comparison.report_files import ReportFile
from comparison.rule606 import MOST_BYTES


class Command(ReportCommand):
    help = "Import a broker's Rule 606(a)(1) report (the XML file it publishes each quarter)."
    limit = MOST_BYTES

    def take(self, file: ReportFile) -> Imported:
        return import_routing(file, self.handling)
