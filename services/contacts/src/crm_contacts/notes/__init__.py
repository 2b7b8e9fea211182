"""What agents write down about a contact."""

from service_kit.service import Service
from shared_events.contacts import note

from crm_contacts.notes import requests


def add_to(service: Service) -> None:
    """What is asked about notes."""
    service.answer(note.CreateNote, requests.create)
    service.answer(note.GetNote, requests.get)
    service.answer(note.PatchNote, requests.patch)
    service.answer(note.DeleteNote, requests.delete)
    service.answer(note.ListContactNotes, requests.list_of_contact)
    service.answer(note.ListSessionNotes, requests.list_of_session)
